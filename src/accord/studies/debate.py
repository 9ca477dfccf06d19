"""Debate: does a judge who cannot see get more out of two who contradict each other than out of one adviser?

Two worlds (``pixels`` of 1805.00899, ``stories`` as in 2402.06782), one judge each, who is asked which of two
answers is right. Evidence is the same in every arm, ``shown`` quotes; who chooses it differs.

    blind      the judge sees its share, nobody speaks
    random     so many quotes are drawn
    consult    one adviser quotes, by lot an honest or a dishonest one; the judge is not told which
    debate     two speakers quote in turn, each for its answer (oracles, as the adviser: ``debating.py``)
    …_reserved the same, and who speaks may say nothing where any quote would harm its side
    full       the judge sees everything

Each quote is the best of n for its speaker, against the judge; n is swept, as is the asymmetry a of stories.

1. An image is asked about in nine games, one for each lie, and counts as right where the judge is right in
   all of them, as in 1805.00899. Quotes that are drawn are the same in all nine games, so that ``random`` is
   right where of all ten digits the right one is believed most.
2. A story has one wrong answer, a superseded place that was drawn.
3. Speakers are scripted, no language is spoken, and the judge does not reckon with who chose a quote.
4. A judge at one half is right by lot: with t such games of one image in 1 of 1 + t. An abstention is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple, Self, cast

from pydantic import Field, model_validator

from accord.desk import FrontDesk
from accord.maths.votes import most
from accord.overseers.consult import Consult
from accord.overseers.debate import Debate as Debated
from accord.part import Part
from accord.ports import Overseer
from accord.problems import problem
from accord.records import JSON, Cost, Judgment, Kind, Prompt, Purpose, Question, Record, Response, Spread
from accord.records.accounts import account
from accord.stores.memory import MemoryStore
from accord.studies.arms import Cell, Items, Measured
from accord.studies.bars import Bar, ahead, near
from accord.studies.debating import Judging, PixelJudge, Player, StoryJudge
from accord.studies.port import Doing, Form, Setting
from accord.vault import TruthVault
from accord.worker import Worker
from accord.worlds import pixels, stories
from accord.worlds.pixels import Pixels
from accord.worlds.stories import Stories

__all__ = ["Debate", "gained", "won"]

_READER = "study debate"
_ALONE = ("blind", "full")  # nobody speaks
_CHOOSE = ("consult", "debate", "consult_reserved", "debate_reserved")  # who speaks chooses
_SWEPT = ("consult", "debate")  # for each n
_QUICK_TASKS, _QUICK_STEPS = (6, 20), 500


class _Put(NamedTuple):
    """Questions as they are put to a judge. ``figures``: what its verdicts are counted in; ``n``: of how many
    each quote is the best."""

    figures: tuple[str, ...]
    judge: Judging
    prompts: tuple[Prompt, ...]
    n: int


class _Came(NamedTuple):
    """What came of it: of each task the verdict by the text of an answer, None for an abstention; what the
    adviser was told to be; what all of it took."""

    said: dict[str, dict[str, float] | None]
    advised: dict[str, str]
    ids: tuple[str, ...]
    cost: Cost


def gained(cells: Mapping[str, Measured]) -> Mapping[str, Items]:
    """What consult and debate are above blind, task by task, in stories for each a; and which share of the
    way from blind to full that is, in the whole seed.

    >>> def of(arm, right): return Measured(arm, 0, "measured", items={"stories": {"0/0": right, "0/1": 1.0}})
    >>> gained({"blind": of("blind", 0.0), "debate": of("debate", 0.5), "full": of("full", 1.0)})
    {'debate': {'recovered.stories': {'seed': 0.5}}}
    """
    found: dict[str, dict[str, Mapping[str, float]]] = {}
    for arm in set(_CHOOSE) & cells.keys() if "blind" in cells else ():
        mine, base = cells[arm].items, cells["blind"].items
        told = found.setdefault(arm, {})
        for name in (name for name in mine if name.startswith("stories.a=") and name in base):
            rows = mine[name].items()
            told[f"gain.{name.partition('.')[2]}"] = {task: one - base[name][task] for task, one in rows}
        for name in ("pixels", "stories") if "full" in cells else ():
            if name in mine:
                low, here, high = (
                    _mean([*cells[one].items[name].values()]) for one in ("blind", arm, "full")
                )
                told |= {f"recovered.{name}": {"seed": (here - low) / (high - low)}} if high > low else {}
    return found


class Debate(Part):
    """The study; its settings are ``debate.toml``."""

    question: ClassVar[str] = "Does debate help a judge who cannot see, more than one adviser does?"
    shows: ClassVar[tuple[str, ...]] = (
        "Tiny models cannot show persuasion or natural deception; here nobody even has a language: speakers "
        "are scripted oracles that know the judge, and move it by what they quote and by nothing else.",
        "The judge takes what is quoted as if nobody had chosen it. One who reckons with the choice would be "
        "misled less, and gain less from two who choose against each other.",
        "Who advises or debates has to quote, as the players of 1805.00899 have to reveal, even what harms "
        "its side. The reserved arms show what becomes of it where nobody has to.",
        "Speakers look one quote ahead. Whether honesty still wins against better play is not shown.",
        "At a = 0 the judge of stories sees all and makes no mistakes: that nothing is gained holds by "
        "construction, and says that quotes of what was seen do no harm. So it is in full.",
        "The lot of an adviser is drawn for each game: all nine of an image have an honest one once in 512, "
        "so next to no image is won with an adviser whom the judge follows.",
    )
    hasty: ClassVar[tuple[str, ...]] = ("blind", "random", "consult", "debate", "full")
    models: ClassVar[bool] = False
    form: ClassVar[Form] = Form(
        tables={
            "share that is right; pixels against all nine lies, games against each": (
                "pixels",
                "games",
                "stories",
            ),
            "stories, by the share a that is hidden": ("stories.a=*",),
            "pixels, each quote the best of n": ("pixels.n=?", "pixels.n=??"),
            "stories, each quote the best of n": ("stories.n=?", "stories.n=??"),
            "by what the adviser was told to be": ("honest.*", "dishonest.*"),
            "above blind": ("gain.*",),
            "share of the gap from blind to full": ("recovered.*",),
            "pixels: the judge's mean confidence and Brier score": ("*.of pixels",),
            "stories: the judge's mean confidence and Brier score": ("*.of stories",),
            "what a verdict takes": ("calls", "words", "abstained", "minutes"),
        },
        shares=frozenset({"pixels", "games", "stories", "honest", "dishonest"}),
        against="debate",
        paired=("pixels", "games", "stories"),
        drawn="stories",
        across=gained,
    )

    version: int  # counts up where an arm is done in another way: its code is not in the hash
    arms: tuple[str, ...]
    seeds: int
    tasks: tuple[int, int]  # of pixels, of stories
    shown: int = Field(ge=2)
    rounds: int = Field(ge=1)
    n: tuple[int, ...]
    lines: int
    hidden: tuple[float, ...]
    share: float
    learnt: int
    steps: int
    ahead_by: float
    flat: float

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.shown % (2 * self.rounds):
            raise problem(["shown"], self.shown, f"as many quotes in each of {2 * self.rounds} turns")
        if not self.n or min(self.n) < 1:
            raise problem(["n"], self.n, "one number or more, each 1 or more")
        if self.share not in self.hidden:
            raise problem(["share"], self.share, f"one of hidden: {self.hidden}")
        return self

    def bar(self, model: str | None) -> Bar:
        del model
        order = (("consult", "blind"), ("debate", "consult"), ("full", "debate"))
        return Bar(
            (
                ahead("pixels", "debate", ("random",), by=self.ahead_by),
                *(ahead("stories", arm, (below,)) for arm, below in order),
                near("gain.a=0", "debate", 0.0, self.flat),
            ),
            self.seeds,
        )

    @contextmanager
    def opened(self, at: Setting, seed: int) -> Generator[Doing]:
        with Worker() as worker:
            yield _Opened(self, at.quick, seed, worker).do


class _Opened:
    """What the arms of one seed share: its tasks, and a judge of each world."""

    def __init__(self, study: Debate, quick: bool, seed: int, worker: Worker) -> None:
        self._study, self._quick, self._seed, self._worker = study, quick, seed, worker
        counts = _QUICK_TASKS if quick else study.tasks
        self._images, self._stories = ([f"{seed}/{at}" for at in range(count)] for count in counts)

    def do(self, cell: Cell) -> Measured:
        puts = self._puts(cell.arm)
        came = [self._came(cell, put) for put in puts]
        vaults = self._vaults(cell, [one for here in came for one in here.ids])
        right = {world: _read(vault) for world, vault in vaults.items()}
        items: dict[str, Mapping[str, float]] = {}
        for put, here in zip(puts, came, strict=True):
            world = put.figures[0].partition(".")[0]
            items |= _items(put, here, right[world])
        verdicts = sum(len(here.said) for here in came)
        took = sum((here.cost for here in came), Cost())
        figures = {
            "calls": took.calls / verdicts,
            "words": took.tokens_out / verdicts,
            "abstained": sum(p is None for here in came for p in here.said.values()) / verdicts,
        }
        return Measured(cell.arm, cell.seed, "measured", items=items, figures=figures)

    # What is asked

    def _puts(self, arm: str) -> list[_Put]:
        """Of both worlds; where anybody speaks for each share that is hidden, who chooses for each n."""
        study, (pixel, story) = self._study, self._judges
        images = self._shown("all" if arm == "full" else "nothing")
        if arm == "full":
            return [_Put(("pixels",), pixel, images, 1), _Put(("stories",), story, self._told(0.0), 1)]
        main = max(study.n) if arm in _CHOOSE else 1
        swept = (f"n={main}",) if arm in _SWEPT else ()
        puts = [_Put(("pixels", *(f"pixels.{n}" for n in swept)), pixel, images, main)]
        for share in study.hidden:
            name, also = f"stories.a={share:g}", ("stories", *(f"stories.{n}" for n in swept))
            figures = (*also, name) if share == study.share else (name,)
            puts.append(_Put(figures, story, self._told(share), main))
        for n in (n for n in study.n if n != main) if arm in _SWEPT else ():
            puts.append(_Put((f"pixels.n={n}",), pixel, images, n))
            puts.append(_Put((f"stories.n={n}",), story, self._told(study.share), n))
        return puts

    @cached_property
    def _judges(self) -> tuple[PixelJudge, StoryJudge]:
        study, steps = self._study, min(_QUICK_STEPS, self._study.steps) if self._quick else self._study.steps
        return PixelJudge(shown=study.shown, learnt=study.learnt, steps=steps, draw=self._seed), StoryJudge()

    def _told(self, share: float) -> tuple[Prompt, ...]:
        return stories.tasks(Stories(lines=self._study.lines, hidden=share), self._stories)

    def _shown(self, view: Literal["nothing", "all"]) -> tuple[Prompt, ...]:
        world = Pixels(view=view, learnt=self._study.learnt)
        return tuple(game for name in self._images for game in pixels.games(world, name))

    # What came of it

    def _came(self, cell: Cell, put: _Put) -> _Came:
        """The verdicts on all of these questions, at a desk of their own."""
        answers, questions, written = dict[str, Response](), dict[str, Question](), list[Record]()
        desk = FrontDesk(written.extend, lambda: None)
        for prompt in put.prompts:
            offers = [
                Response(prompt=prompt.id, text=str(text), finish="data", parents=(prompt.id,))
                for text in cast("list[str]", prompt.columns["offers"])
            ]
            desk.hold([prompt, *offers])
            answers |= {one.id: one for one in offers}
            asked = Question(asks=Kind.COMPARE, prompt=prompt.id, responses=tuple(one.id for one in offers))
            questions[f"{prompt.columns['task']} {prompt.columns.get('game', 0)}"] = asked
        overseer = self._overseer(cell.arm, put)

        async def whole() -> list[Judgment]:
            return list(await asyncio.gather(*(desk.ask(overseer, one) for one in questions.values())))

        judgments = dict(zip(questions, self._worker.run(whole()), strict=True))
        drawn = overseer.drawn if isinstance(overseer, Consult) and cell.arm in _CHOOSE else None
        return _Came(
            {task: _shares(judgment, answers) for task, judgment in judgments.items()},
            {task: drawn(one) for task, one in questions.items()} if drawn else {},
            tuple(judgment.id for judgment in judgments.values()),
            account(written).judging,
        )

    def _overseer(self, arm: str, put: _Put) -> Overseer:
        study, judge = self._study, cast(Overseer, put.judge)
        if arm in _ALONE:
            return judge
        rounds, material = study.rounds, (put.judge.material,)
        reserved = arm.endswith("_reserved")
        if arm.startswith("debate"):
            player = Player(put.judge, put.n, study.shown // (2 * rounds), reserved=reserved)
            made = Debated(inner=judge, speakers=("player", "player"), rounds=rounds, material=material)
            return cast(Overseer, made.seated({"player": player}))
        advises = arm.startswith("consult")
        player = Player(put.judge, put.n, study.shown, alike=not advises, reserved=reserved)
        lot = "drawn" if advises else "honest"  # who quotes at random is for nobody
        advised = Consult(inner=judge, adviser="player", arm=lot, material=material)
        return cast(Overseer, advised.seated({"player": player}))

    def _vaults(self, cell: Cell, ids: Sequence[str]) -> dict[str, TruthVault]:
        """The truths of both worlds, with the verdicts sealed."""
        told = {
            "pixels": pixels.truths(Pixels(learnt=self._study.learnt), self._images),
            "stories": stories.truths(Stories(lines=self._study.lines), self._stories),
        }
        readers: dict[str, tuple[Purpose, ...]] = {_READER: ("score",)}
        vaults = {
            world: TruthVault(
                world, cast("dict[str, JSON]", truths), readers, MemoryStore(), cell.folder.name
            )
            for world, truths in told.items()
        }
        for vault in vaults.values():
            vault.seal(ids)
        return vaults


def _shares(judgment: Judgment, answers: Mapping[str, Response]) -> dict[str, float] | None:
    verdict = judgment.verdict
    return {answers[one].text: p for one, p in verdict.p.items()} if isinstance(verdict, Spread) else None


def _read(vault: TruthVault) -> dict[str, str]:
    tasks = sorted(vault.items)
    found = vault.read_all(tasks, "score", _READER)
    return {task: cast("dict[str, str]", one)["answer"] for task, one in zip(tasks, found, strict=True)}


def _items(put: _Put, came: _Came, right: Mapping[str, str]) -> dict[str, Mapping[str, float]]:
    """The figures of a set of verdicts; of the main one also how sure the judge was, and of what adviser."""
    scored = {game: _right(p, right[_task(game)]) for game, p in came.said.items()}
    found: dict[str, Mapping[str, float]] = dict.fromkeys(put.figures, _by_task(scored, won))
    if (world := put.figures[0]) not in ("pixels", "stories"):
        return found
    if world == "pixels":
        found["games"] = _by_task(scored, _mean)
    for arm in dict.fromkeys(came.advised.values()):
        mine = {game: one for game, one in scored.items() if came.advised[game] == arm}
        found[f"{arm}.{world}"] = _by_task(mine, _mean)
    spoke = {game: p for game, p in came.said.items() if p is not None}
    if spoke:
        found[f"confidence.of {world}"] = _by_task(
            {game: max(p.values()) for game, p in spoke.items()}, _mean
        )
        off = {game: (1 - p[right[_task(game)]]) ** 2 for game, p in spoke.items()}
        found[f"brier.of {world}"] = _by_task(off, _mean)
    return found


def _task(game: str) -> str:
    return game.partition(" ")[0]


def _by_task(of: Mapping[str, float], figure: Callable[[Sequence[float]], float]) -> dict[str, float]:
    """One number for the games of each task."""
    found: dict[str, list[float]] = {}
    for game, value in of.items():
        found.setdefault(_task(game), []).append(value)
    return {task: figure(values) for task, values in found.items()}


def won(scores: Sequence[float]) -> float:
    """How probable it is that the right answer is taken against every wrong one. A game is 1 or 0, and ½
    where the judge has no opinion: then the right one is one of all that are even.

    >>> won([1.0, 1.0]), won([1.0, 0.5]), won([1.0, 0.5, 0.0]), won([0.5] * 9)
    (1.0, 0.5, 0.0, 0.1)
    """
    return 0.0 if 0.0 in scores else 1 / (1 + sum(score == 0.5 for score in scores))


def _right(p: Mapping[str, float] | None, right: str) -> float:
    """1 for the right answer, ½ where the judge is at one half, 0 for an abstention.

    >>> [_right(p, "a") for p in ({"a": 0.6, "b": 0.4}, {"a": 0.5, "b": 0.5}, {"a": 0.4, "b": 0.6}, None)]
    [1.0, 0.5, 0.0, 0.0]
    """
    return 0.0 if p is None else most(p[right])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
