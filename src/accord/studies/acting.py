"""Acting: a policy learns in a world, one word a turn, and is then played on seeds it never saw.

Here, for studies whose arms act: the loop of a stage around the source ``episodes`` and the engine
``scripted``, which keeps nothing of what was said (``trained``); fresh episodes of a policy (``played``) or
of a player that is written down (``replayed``); what they were truly worth, from a vault that is sealed
first (``judged``). Not here: which worlds, methods and overseers there are; how answers of one turn are
taught (``lessons.py``).

The policy is a table with a row for each message of the world: it *reads the last message alone*, and what it
may say are the words of the world's actions. ``Seen`` is how a world is shown to it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from pydantic import ConfigDict, Field, SkipValidation, field_serializer

from accord.checkpoints import Progressing
from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.episodes import Episodes
from accord.feedback import Asking, StageFeedback
from accord.functions import function
from accord.guard import Guard, Probing, Watch
from accord.loop import Loop, Pace
from accord.part import Part, named
from accord.ports import Method, Sampler, Shape, Task, World, WorldPart, WorldStep
from accord.progress import Progress
from accord.records import JSON, Message, Prompt, Record, Response
from accord.records.rows import Group
from accord.rules import Fault, NonFinite
from accord.sources import Surroundings, taken
from accord.stores.memory import MemoryStore
from accord.vault import TruthVault
from accord.worker import Worker

__all__ = [
    "Course",
    "Learnt",
    "Pupil",
    "Seen",
    "Walk",
    "fresh",
    "judged",
    "knowing",
    "met",
    "played",
    "replayed",
    "stood_on",
    "trained",
]

T = TypeVar("T")

_FRESH = 1_000_000  # the first seed of those that nothing is trained on
_SEEDS = 512  # of those that are trained on
_SCORER = "study"


class Seen(Part):
    """A world as a table sees it: every prompt is what ``view`` makes of the world's own, a function named
    ``module:function`` from a Prompt to a text. Rewards are told in units of ``unit``; costs and columns
    are the world's. Which words may be said is left to the table, whose words are the actions."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    world: SkipValidation[WorldPart]
    view: str = "accord.studies.views:whole"
    unit: float = Field(default=1.0, gt=0)

    @field_serializer("world")
    def _named(self, world: WorldPart) -> dict[str, object]:
        return named(world)

    def open(self) -> World:
        return _Seeing(self.world.open(), self.shown, self.unit)

    @cached_property
    def shown(self) -> Callable[[Prompt], str]:
        return cast("Callable[[Prompt], str]", function(self.view))


class _Seeing:
    """One episode, seen so."""

    def __init__(self, world: World, shown: Callable[[Prompt], str], unit: float) -> None:
        self._world, self._shown, self._unit = world, shown, unit

    def reset(self, seed: str) -> Prompt:
        first = self._world.reset(seed)
        message = Message(role="user", content=self._shown(first))
        self._prompt = Prompt(messages=(message,), columns=first.columns)
        return self._prompt

    def step(self, response: Response) -> WorldStep:
        led = self._world.step(response)
        if led.reward is not None:
            led = led._replace(reward=led.reward / self._unit)
        if led.prompt is None:
            return led
        on = self._prompt.then(response.text, Message(role="user", content=self._shown(led.prompt)))
        self._prompt = on
        return led._replace(prompt=on.model_copy(update={"columns": led.prompt.columns}))


class Pupil(NamedTuple):
    """What learns, and where: the world as it sees it, what it may say, how many turns at most. ``begins``:
    how probable each word is at first, by what is shown; all are alike where nothing is said of it."""

    world: Seen
    words: tuple[str, ...]
    turns: int
    begins: Mapping[str, tuple[float, ...]] = {}


class Course(NamedTuple):
    """How it learns. ``rate``: of one answer; the learner's is as many times that as a window has answers at
    most, since a loss is the mean over these. ``asking``: who judges; nobody: the world's own reward."""

    method: Method
    windows: int
    per_window: int
    rate: float
    asking: tuple[Asking, ...] = ()


class Learnt(NamedTuple):
    """``policy``: what it ended as; ``windows``: the figures of each window; ``stopped``: why, if it was."""

    policy: Sampler
    windows: tuple[Mapping[str, float], ...]
    stopped: str


class Walk(NamedTuple):
    """One episode: its task, what was said, what was observed, turn by turn."""

    task: str
    said: tuple[str, ...]
    rewards: tuple[float, ...]
    costs: Mapping[str, tuple[float, ...]]

    @property
    def observed(self) -> float:
        return math.fsum(self.rewards)

    def cost(self, name: str) -> float:
        return math.fsum(self.costs[name])


def trained(pupil: Pupil, course: Course, key: str, folder: Path, progress: Progress) -> Learnt:
    """One stage from a table of equal chances, by the loop that all stages have. Its guard records, and stops
    on faults only. What is drawn depends on ``key`` alone; of the texts nothing is kept."""
    method, (name, _, seed) = course.method, key.rpartition("/")
    answers = course.per_window * method.rows.n * pupil.turns
    engine = Scripted(
        words=pupil.words, longest=1, sees="last", p=dict(pupil.begins), lr=course.rate * answers
    )
    with _worker() as worker:
        learner = engine.learner("scripted", Task(key, int(seed), method.needs(), "policy", progress))
        source = _episodes(pupil, course.per_window, _SEEDS, 0)
        feedback = StageFeedback(course.asking, FrontDesk(_unkept, _nothing), worker, _unkept)
        watch = Watch(key, (), (NonFinite(), Fault()), Probing((), 1, 1, 1.0, 1), learner.sampler())
        guard = Guard(watch, _uncommitted, worker)
        loop = Loop(
            run=key,
            seed=int(seed),
            pace=Pace(course.windows, course.windows, course.windows, 1),
            source=source.open(Surroundings(name, int(seed), method.rows, worker)),
            feedback=feedback,
            method=method,
            learner=learner,
            guard=guard,
            state=Progressing(),
            checkpoints=folder / "checkpoints",
            commit=_uncommitted,
            examine=None,
            progress=progress,
        )
        decision = loop.train()
    windows = [e.scalars for e in guard.events if e.name == "window"]
    stopped = "" if decision.action == "continue" else f"{decision.action}: {decision.reason}"
    return Learnt(learner.sampler(), tuple(windows), stopped)


def played(pupil: Pupil, policy: Sampler, key: str, count: int) -> list[Walk]:
    """As many episodes on seeds that nothing is trained on; the same seeds for every policy, and the same
    draws in the first turn: what is drawn later hangs on who said what came before."""
    name, _, seed = key.rpartition("/")
    source = _episodes(pupil, count, count, _FRESH)
    with _worker() as worker:
        around = Surroundings(f"{name}/test", int(seed), Shape("answer", 1, "policy"), worker)
        window = source.open(around).window(0, policy, _unjudged)
    order = taken(int(seed), 0, count, count)
    walks: list[Walk] = []
    for row in window.rows:
        (episode,) = row.episodes
        said = tuple(pupil.words[tokens[0]] for tokens in episode.tokens)
        rewards = tuple(reward or 0.0 for reward in episode.rewards)
        costs = {c: tuple(one or 0.0 for one in told) for c, told in episode.costs.items()}
        walks.append(Walk(str(_FRESH + order[row.group]), said, rewards, costs))
    return sorted(walks)


def replayed(
    world: WorldPart, answer: Callable[[Prompt, int], str], task: str, turns: int
) -> tuple[Walk, list[Prompt]]:
    """An episode of a player who is given the world's own prompts and the number of the turn; and these."""
    one = world.open()
    prompt: Prompt | None = one.reset(task)
    first, said, led = prompt.id, list[str](), list[WorldStep]()
    prompts: list[Prompt] = []
    while prompt is not None and len(said) < turns:
        prompts.append(prompt)
        said.append(answer(prompt, len(said)))
        led.append(one.step(Response(prompt=first, text=said[-1], parents=(first,))))
        prompt = led[-1].prompt
    rewards = tuple(step.reward or 0.0 for step in led)
    costs = {c: tuple(step.costs[c] for step in led) for c in led[0].costs}
    return Walk(task, tuple(said), rewards, costs), prompts


def stood_on(world: WorldPart, walk: Walk, sign: str) -> bool:
    """Whether whoever walked so was once in the only cell with this sign: who stands on it hides it."""
    _, prompts = replayed(world, lambda _, turn: walk.said[turn], walk.task, len(walk.said))
    return any(sign not in prompt.text.split(" ") for prompt in prompts)


def judged(
    walks: Sequence[Walk],
    truths: Mapping[str, JSON],
    score: Callable[[JSON, Walk], T],
) -> list[T]:
    """What each episode was truly worth. The vault is sealed on what was said before anything is read."""
    vault = TruthVault("acted", truths, {_SCORER: ("score",)}, MemoryStore())
    vault.seal(f"{walk.task} {' '.join(walk.said)}" for walk in walks)
    found = vault.read_all([walk.task for walk in walks], "score", _SCORER)
    return [score(truth, walk) for truth, walk in zip(found, walks, strict=True)]


def knowing(
    pupil: Pupil, players: Sequence[Callable[[Prompt, int], str]], tasks: Sequence[str], by_chance: float
) -> Mapping[str, tuple[float, ...]]:
    """What a base does that was shown how these players play: in what they came to, what one of them did,
    each as often as any other, and with the probability ``by_chance`` any word. Where a player said several
    things to what looks alike, as one does who is held, the first of them counts."""
    said: dict[str, list[str]] = {}
    for player in players:
        known: dict[str, str] = {}
        for task in tasks:
            walk, prompts = replayed(pupil.world.world, player, task, pupil.turns)
            for prompt, word in zip(prompts, walk.said, strict=True):
                known.setdefault(pupil.world.shown(prompt), word)
        for shown, word in known.items():
            said.setdefault(shown, []).append(word)
    spread = by_chance / len(pupil.words)
    return {
        shown: tuple(spread + (1 - by_chance) * did.count(w) / len(did) for w in pupil.words)
        for shown, did in said.items()
    }


def fresh(count: int) -> list[str]:
    """The tasks of ``played``."""
    return [str(_FRESH + i) for i in range(count)]


def met(count: int) -> list[str]:
    """The first of the tasks of ``trained``: what a base may have been shown."""
    return [str(i) for i in range(count)]


def _episodes(pupil: Pupil, per_window: int, seeds: int, first: int) -> Episodes:
    return Episodes(
        world=pupil.world,
        per_window=per_window,
        seeds=seeds,
        first=first,
        max_tokens=1,
        max_turns=pupil.turns,
        reads="last",
    )


class _Here(Worker):
    """Waits for nobody: every turn of an episode is a call, and a thread of its own takes longer to wake."""

    def __init__(self) -> None:
        self._own = asyncio.new_event_loop()

    def run(self, work: Coroutine[object, object, T]) -> T:
        return self._own.run_until_complete(work)

    def close(self, patience: float = 30) -> None:
        del patience
        self._own.close()


def _worker() -> Worker:
    """One in this thread; where its event loop is busy, as in a notebook, one in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _Here()
    return Worker()


def _unkept(records: Iterable[Record]) -> None:
    del records


def _uncommitted(records: Iterable[Record], step: int) -> None:
    del records, step


def _unjudged(groups: Sequence[Group]) -> None:
    del groups


def _nothing() -> None:
    return None
