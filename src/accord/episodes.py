"""Episodes: a source that lets the policy play a World, turn by turn, and keeps the tokens of every turn.

A turn is tokenised once. What the model read and said stands in the next prompt as ``Prompt.begun``, so turn
k + 1 reads those very tokens and what the world adds; an episode is one masked sequence, and only what the
model said is learnt. A prompt that does not go on from the turn before is a ContractError naming both. With
``reads = "last"`` the policy is given what the world said last and nothing before it, so every turn is a
sequence of its own, and as long in the hundredth turn as in the first.

All episodes still under way are answered together. Each draws from (window, turn, prompt), and every prompt
names the answer before it (the first one: its seed), so what is drawn does not depend on who else is playing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Literal, NamedTuple, Self, cast

from pydantic import ConfigDict, Field, JsonValue, SkipValidation, field_serializer, model_validator

from accord.errors import ContractError, PlanError
from accord.part import Part, named
from accord.ports import Feedback, How, Recording, Sampler, Source, World, WorldPart, WorldStep
from accord.problems import problem
from accord.records import Begun, Episode, Message, Prompt, Response
from accord.records.rows import Columns, Group, Row, Window
from accord.sources import Surroundings, taken

__all__ = ["Episodes"]


class Episodes(Part):
    """Episodes of ``world``, as many of each seed as the method's group has.

    Seeds are the numbers from ``first`` on; another range of them is other tasks. ``max_tokens`` bounds one
    answer, ``max_turns`` the answers of an episode that the world does not end. Rows have ``score`` (the sum
    of observed rewards), ``cost:<id>`` (sums), ``turns``, and ``cut``: 1 where a bound stopped the episode or
    one of its answers. Asks judge the last answer in its place, with all that was said before it, whatever
    the policy ``reads``; their columns stand before the world's.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    world: SkipValidation[WorldPart]
    per_window: int = Field(default=8, ge=1)
    seeds: int = Field(default=1024, ge=1)
    first: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, gt=0)
    max_tokens: int = Field(default=128, ge=1)
    max_turns: int = Field(default=8, ge=1)
    reads: Literal["all", "last"] = "all"

    @model_validator(mode="after")
    def _world_is_a_world(self) -> Self:
        world = cast(object, self.world)  # whatever it is: nothing has looked at it before
        if not (isinstance(world, Part) and isinstance(world, WorldPart)):
            allowed = 'a table that names a world, such as { name = "calculator" }'
            raise problem(["world"], str(world), allowed)
        return self

    @field_serializer("world")
    def _named(self, world: WorldPart) -> dict[str, object]:
        return named(world)

    def open(self, around: Surroundings) -> Source:
        if around.shape.by != "policy":
            raise PlanError("name", "episodes", "offline", "this method learns from completions in a file")
        return _Episodes(self, around)


class _Episodes:
    """``notes`` are for the first screen."""

    def __init__(self, config: Episodes, around: Surroundings) -> None:
        self._config, self._around = config, around
        last = config.first + config.seeds - 1
        self.notes = [
            f"episodes of the world {type(config.world).__name__}, seeds {config.first:,} to {last:,}, "
            f"at most {config.max_turns} answers each"
        ]

    @cached_property
    def _firsts(self) -> list[Prompt]:
        seeds = (str(self._config.first + i) for i in range(self._config.seeds))
        return [_begin(self._config.world.open(), seed) for seed in seeds]

    def prompts(self) -> Sequence[Prompt]:
        return self._firsts

    def window(self, index: int, policy: Sampler, feedback: Feedback) -> Window:
        played = self._played(index, policy)
        if isinstance(feedback, Recording):
            feedback.take([Group(turn.prompt, (turn.response,)) for e in played for turn in e.unasked])
        told = _Told(feedback, [e.last for e in played])
        return Window(index, tuple(_row(e, told, self._config.temperature) for e in played))

    def _played(self, index: int, policy: Sampler) -> list[_Playing]:
        """The episodes of a window, to their ends; those of one seed stand together."""
        config, around = self._config, self._around
        seeds = taken(around.seed, index, config.per_window, config.seeds)
        n, tools = around.shape.n, _takes_tools(policy)
        episodes = [
            _Playing(config.world.open(), _Place(index, g, str(config.first + seed), i), tools, config.reads)
            for g, seed in enumerate(seeds)
            for i in range(n)
        ]
        for e in episodes:
            e.begins_as(episodes[n * e.place.group])
        for turn in range(config.max_turns):
            live = [e for e in episodes if e.waits is not None]
            key = f"{around.stage}/{around.seed}/window/{index}/turn/{turn}"
            for episode, response in zip(live, self._answers(policy, live, turn, key), strict=True):
                episode.answer(response)
        return episodes

    def _answers(self, policy: Sampler, live: Sequence[_Playing], turn: int, key: str) -> list[Response]:
        """One answer to each episode. The first prompt is one for all n of a seed, and is read once."""
        if not live:
            return []
        n = self._around.shape.n if turn == 0 else 1
        asked = [cast(Prompt, e.waits) for e in live[::n]]
        how = How(key, self._config.temperature, self._config.max_tokens)
        groups = self._around.worker.run(policy.sample(asked, n, how))
        return [response for group in groups for response in group.responses]


class _Place(NamedTuple):
    """Which episode: the window, the number of its group there, its seed, its number within the group."""

    window: int
    group: int
    seed: str
    number: int

    def turn(self, number: int) -> str:
        """In words, for an error."""
        return f"window {self.window}, episode {self.number} of seed {self.seed}, turn {number}"


class _Turn(NamedTuple):
    """What was asked, what was said, what it led to."""

    prompt: Prompt
    response: Response
    led: WorldStep


class _Playing:
    """One episode. ``waits``: the prompt that is to be answered; None once it is over."""

    def __init__(self, world: World, place: _Place, tools: bool, reads: Literal["all", "last"]) -> None:
        self._world, self.place, self._tools, self._reads = world, place, tools, reads
        self.turns: list[_Turn] = []
        self.waits: Prompt | None = _begin(world, place.seed)
        self._told: tuple[Message, ...] = self.waits.messages
        self._asked = self._told  # the conversation that the last answer was given in

    def begins_as(self, other: Self) -> None:
        """ContractError where the other one, of the same seed, was begun otherwise."""
        mine, theirs = (one.waits.id if one.waits else "" for one in (self, other))
        self._promised("a seed decides everything but the answers", mine == theirs, "another first prompt")

    def answer(self, response: Response) -> None:
        """One turn: the world is given the answer, and says what is next."""
        prompt = self.waits
        assert prompt is not None
        begun = prompt.begun.tokens if prompt.begun else ()
        if response.prompt_tokens[: len(begun)] != begun:
            at = next(i for i, t in enumerate(begun) if response.prompt_tokens[i : i + 1] != (t,))
            promise = "a conversation that has begun goes on from its exact tokens (Prompt.begun)"
            raise ContractError("the sampler", promise, f"{self._here}: another token at place {at}")
        led, self._asked = self._world.step(response), self._told
        self._check(led)
        self.waits = self._next(led.prompt, prompt, response) if led.prompt is not None else None
        self.turns.append(_Turn(prompt, response, led))

    def _next(self, given: Prompt, before: Prompt, response: Response) -> Prompt:
        """The world's next prompt with its exact beginning."""
        so_far = (*self._told, Message(role="assistant", content=response.text))
        added = given.messages[len(so_far) :]
        self._promised(
            "a next prompt goes on from the one before: its messages, the answer, what the world says",
            given.messages[: len(so_far)] == so_far and bool(added) and given.answered == len(so_far),
            f"{len(given.messages)} messages behind {len(self._told)} and an answer",
        )
        same = given.allowed == before.allowed
        self._promised("the allowed tokens of an episode stay those of its first prompt", same, given.allowed)
        self._told = given.messages
        if not self._tools:
            added = tuple(m.model_copy(update={"role": "user"}) if m.role == "tool" else m for m in added)
        mine: dict[str, object] = {"messages": added, "begun": None}
        if self._reads == "all":
            begun = Begun(tokenizer=response.tokenizer, tokens=(*response.prompt_tokens, *response.tokens))
            mine = {"messages": (*before.messages, so_far[-1], *added), "begun": begun}
        known = {"parents": (response.id,), "columns": _columns(given, self.place.seed)}
        return given.model_copy(update={**mine, **known})

    @property
    def unasked(self) -> Sequence[_Turn]:
        """The turns that nobody is asked about as they stand: those before the last; where the policy read
        less than who judges does, the last one too, which ``last`` has under another prompt."""
        return self.turns[:-1] if self._reads == "all" else self.turns

    @cached_property
    def last(self) -> Group:
        """Once it is over: the last answer and what it answered, for who judges it, with all of the
        conversation."""
        prompt, response, _ = self.turns[-1]
        if self._reads == "all":
            return Group(prompt, (response,))
        whole = prompt.model_copy(update={"messages": self._asked})
        return Group(whole, (response.model_copy(update={"prompt": whole.id}),))

    def _check(self, led: WorldStep) -> None:
        reward = led.reward is None or math.isfinite(led.reward)
        self._promised("a reward is finite, or None where none was seen", reward, led.reward)
        costs = all(math.isfinite(cost) for cost in led.costs.values())
        self._promised("costs are finite", costs, dict(led.costs))
        same = not self.turns or led.costs.keys() == self.turns[0].led.costs.keys()
        self._promised("every step names the same costs", same, sorted(led.costs))

    def _promised(self, promise: str, kept: bool, found: object) -> None:
        if not kept:
            raise ContractError(type(self._world).__name__, promise, f"{self._here}: {found}")

    @property
    def _here(self) -> str:
        return self.place.turn(len(self.turns) + 1)

    @property
    def numbers(self) -> dict[str, float]:
        """The columns that the world gives; ``score`` is NaN where no reward was seen."""
        seen = [t.led.reward for t in self.turns if t.led.reward is not None]
        costs = {f"cost:{c}": math.fsum(t.led.costs[c] for t in self.turns) for c in self.turns[0].led.costs}
        cut = self.waits is not None or any(t.response.finish == "length" for t in self.turns)
        score = math.fsum(seen) if seen else math.nan
        return {"score": score, **costs, "cut": float(cut), "turns": float(len(self.turns))}

    def episode(self, temperature: float) -> Episode:
        """As it was read and said."""
        said = [t.response for t in self.turns]
        return Episode(
            prompt=self.turns[0].prompt.id,
            responses=tuple(r.id for r in said),
            prompt_tokens=tuple(r.prompt_tokens for r in said),
            tokens=tuple(r.tokens for r in said),
            allowed=self.turns[0].prompt.allowed,
            temperature=temperature,
            rewards=tuple(t.led.reward for t in self.turns),
            costs={c: tuple(t.led.costs[c] for t in self.turns) for c in self.turns[0].led.costs},
            parents=tuple(r.id for r in said),
        )


class _Told:
    """What the asks say of last answers, in their places. Answers to one prompt are asked about together."""

    def __init__(self, feedback: Feedback, last: Iterable[Group]) -> None:
        groups: dict[str, tuple[Prompt, list[Response]]] = {}
        for prompt, said in last:
            groups.setdefault(prompt.id, (prompt, []))[1].extend(said)
        self._columns = feedback([Group(prompt, tuple(said)) for prompt, said in groups.values()])
        members = self._columns.members if self._columns else ()
        if self._columns is not None and (not members or any(len(m) != 1 for m in members)):
            raise PlanError(
                "ask",
                f"{max((len(m) for m in members), default=2)} answers at a time",
                "an ask about single answers, such as each",
                "the last answers of episodes stand in different conversations, so they cannot be compared",
            )
        if self._columns is not None and self._columns.groups:
            advice = "an episode is one row, whoever judges it"
            raise PlanError("ask.collapse", "per_group", "a way that counts all votes alike", advice)
        self._places = {member[0]: r for r, member in enumerate(members)}

    def of(self, response: Response) -> tuple[Mapping[str, float], bool, tuple[str, ...]]:
        """Its columns, whether they are missing, and its judgments."""
        if self._columns is None:
            return {}, False, ()
        return _line(self._columns, self._places.get(response.id))


def _line(columns: Columns, place: int | None) -> tuple[Mapping[str, float], bool, tuple[str, ...]]:
    if place is None:
        return dict.fromkeys(columns.values, math.nan), True, ()
    values = {name: float(column[place]) for name, column in columns.values.items()}
    return values, bool(columns.missing[place]), columns.parents[place]


def _row(played: _Playing, told: _Told, temperature: float) -> Row:
    values, missing, parents = told.of(played.last.responses[0])
    columns = {**played.numbers, **values}
    unknown = missing or math.isnan(columns["score"])
    return Row((played.episode(temperature),), columns, unknown, played.place.group, parents)


def _begin(world: World, seed: str) -> Prompt:
    """The first prompt. It names its seed: two episodes may begin alike and be different tasks."""
    first = world.reset(seed)
    return first.model_copy(update={"columns": _columns(first, seed)})


def _columns(prompt: Prompt, seed: str) -> dict[str, JsonValue]:
    return {**prompt.columns, "seed": seed}


def _takes_tools(policy: Sampler) -> bool:
    """Whether the policy's template writes messages of the role ``tool``; else they are a user's."""

    def read(said: str) -> tuple[int, ...]:
        messages = [("user", "?"), ("assistant", ""), ("tool", said)]
        asked = Prompt(messages=tuple(Message.model_validate({"role": r, "content": c}) for r, c in messages))
        return policy.encode(asked, "").prompt_tokens

    try:
        return read("one") != read("two")  # some leave out what they do not know
    except PlanError:
        return False
