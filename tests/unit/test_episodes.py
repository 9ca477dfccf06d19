# size: the source's promises, each broken once
"""Episodes are played to their ends; each keeps its exact tokens, its draws and what the world saw of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.asks.each import Each
from accord.asks.pairs import Pairs
from accord.catalog import build
from accord.desk import FrontDesk
from accord.engines.scripted import Scripted
from accord.episodes import Episodes
from accord.errors import ContractError, PlanError
from accord.feedback import Asking, StageFeedback
from accord.part import Part
from accord.plan import Plan
from accord.ports import Feedback, Sampler, Shape, World, WorldStep
from accord.progress import Silent
from accord.records import Message, Prompt, Record, Response
from accord.records.rows import Columns, Group, Row, Window
from accord.sources import Surroundings
from accord.stores.memory import MemoryStore
from accord.testing import ScriptedOverseer, ScriptedWorld, scored
from accord.worker import Worker
from accord.worlds.guess import Guess

POLICY = Shape("answer", 3, "policy")
WORDS = tuple(str(n) for n in range(1, 7))
SAMPLER: Sampler = Scripted(words=WORDS, spread=1.0, tensors="numpy").sampler("scripted", Silent())
GAME = Guess(numbers=6)


class Talk(Part):
    """A scripted world as a plan would name it; ``breaks`` says which of its promises it breaks."""

    lines: tuple[str, ...] = ("Say one.", "Say two.", "And three?")
    wanted: tuple[str, ...] = ("1", "2", "3")
    breaks: str = ""

    def open(self) -> World:
        return _Broken(self) if self.breaks else ScriptedWorld(self.lines, self.wanted)


class _Broken(ScriptedWorld):
    def __init__(self, config: Talk) -> None:
        super().__init__(config.lines, config.wanted)
        self._config, self._games = config, 0

    def reset(self, seed: str) -> Prompt:
        first = super().reset(seed)
        GAMES.append(1)
        return Prompt.of(f"{len(GAMES)}") if self._config.breaks == "seed" else first

    def step(self, response: Response) -> WorldStep:
        led, messages = super().step(response), self._messages
        if self._turn == 2 and led.prompt is not None:
            changed: dict[str, Any] = {
                "history": {
                    "prompt": Prompt(messages=(Message(role="user", content="Anew."), *messages[1:]))
                },
                "answer": {"prompt": Prompt(messages=(*messages[:-2], Message(role="user", content="x")))},
                "words": {"prompt": Prompt(messages=(*messages, Message(role="assistant", content="1")))},
                "silence": {"prompt": Prompt(messages=messages[:-1])},
                "allowed": {"prompt": Prompt(messages=messages, allowed=(0, 1))},
                "reward": {"reward": math.inf},
                "cost": {"costs": {"wrong": math.nan}},
                "costs": {"costs": {}},
                "tool": {"prompt": Prompt(messages=(*messages[:-1], Message(role="tool", content="4")))},
                "unrewarded": {},
            }[self._config.breaks]
            self._messages = changed["prompt"].messages if "prompt" in changed else messages
            led = led._replace(**changed)
        return led._replace(reward=None) if self._config.breaks == "unrewarded" else led


GAMES: list[int] = []


def silent(groups: Sequence[Group]) -> Columns | None:
    return None


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def play(worker: Worker, index: int = 0, **told: Any) -> Window:
    shape, feedback = told.pop("shape", POLICY), told.pop("feedback", silent)
    sampler, seed = told.pop("sampler", SAMPLER), told.pop("seed", 0)
    part = Episodes.model_validate({"world": GAME, "per_window": 4, "seeds": 12, **told})
    given: Feedback = feedback
    return part.open(Surroundings("run/stage", seed, shape, worker)).window(index, sampler, given)


def ids(rows: Sequence[Row]) -> list[str]:
    return [row.episodes[0].id for row in rows]


# What a window holds


def test_a_window_holds_a_group_of_whole_episodes_for_each_seed(worker: Worker) -> None:
    window = play(worker)
    assert [r.group for r in window.rows] == [g for g in range(4) for _ in range(3)]
    for row in window.rows:
        (episode,) = row.episodes
        assert len(episode.responses) == row.columns["turns"] <= 3
        (sequence,) = episode.sequences()
        assert sequence.tokens == (*episode.prompt_tokens[-1], *episode.tokens[-1])
        said = [t for t, chosen in zip(sequence.tokens, sequence.answer, strict=True) if chosen]
        assert tuple(said) == tuple(t for turn in episode.tokens for t in turn), "only what the policy said"
        assert sum(sequence.answer) == sum(map(len, episode.tokens))
        assert row.columns["score"] == sum(r for r in episode.rewards if r is not None)
        assert not row.missing
        assert episode.parents == episode.responses
    assert {len({r.episodes[0].prompt for r in window.rows if r.group == g}) for g in range(4)} == {1}
    assert {r.columns["turns"] for r in window.rows} == {1.0, 2.0, 3.0}, "ragged: some find it early"
    assert {r.columns["score"] for r in window.rows} == {0.0, 1.0}


def test_episodes_that_begin_alike_draw_apart(worker: Worker) -> None:
    """All games begin with the same words; answers of one game differ from those of another."""
    window = play(worker, per_window=12)
    assert len({e.prompt for r in window.rows for e in r.episodes}) == 12
    assert len({e.prompt_tokens[0] for r in window.rows for e in r.episodes}) == 1
    groups = [tuple(r.episodes[0].tokens[0] for r in window.rows if r.group == g) for g in range(12)]
    assert len(set(groups)) > 6, "by chance some are alike"
    assert len({e.responses for r in window.rows for e in r.episodes}) == 36


def test_two_episodes_in_the_same_place_go_on_apart(worker: Worker) -> None:
    """A policy that always opens with the same word: the second turns have equal prompts and other draws."""
    words: Any = Scripted(words=WORDS, p={}, tensors="numpy")
    opening = {Guess(numbers=6).open().reset("0").text: (1.0, 0, 0, 0, 0, 0)}
    sampler = words.model_copy(update={"p": opening}).sampler("scripted", Silent())
    rows = play(worker, sampler=sampler, shape=Shape("answer", 24, "policy"), per_window=1).rows
    second = [e.episodes[0] for e in rows if len(e.episodes[0].tokens) > 1]
    assert len(second) > 20
    assert len({e.prompt_tokens[1] for e in second}) == 1
    assert len({e.tokens[1] for e in second}) == 6


def test_columns_sum_rewards_and_costs(worker: Worker) -> None:
    window = play(worker, world=Talk(lines=("a", "b"), wanted=("1", "2")), per_window=2, seeds=2)
    for row in window.rows:
        (episode,) = row.episodes
        assert row.columns == {
            "score": sum(r or 0 for r in episode.rewards),
            "cost:wrong": sum(c or 0 for c in episode.costs["wrong"]),
            "cut": 0.0,
            "turns": 2.0,
        }
        assert row.columns["score"] + row.columns["cost:wrong"] == 2
    assert {row.columns["score"] for row in window.rows} >= {0.0, 1.0}


def test_an_episode_that_the_world_does_not_end_is_cut(worker: Worker) -> None:
    window = play(worker, max_turns=2)
    assert {r.columns["turns"] for r in window.rows} == {1.0, 2.0}
    for row in window.rows:
        found = row.columns["score"] == 1.0
        assert not row.missing
        assert row.columns["cut"] == float(not found)
    long = Scripted(words=WORDS, shortest=2, longest=2, tensors="numpy").sampler("scripted", Silent())
    window = play(worker, sampler=long, max_tokens=1)
    assert {r.columns["cut"] for r in window.rows} == {1.0}, "every answer was"
    assert {sum(map(len, r.episodes[0].tokens)) - r.columns["turns"] for r in window.rows} == {0.0}


def test_where_no_reward_was_seen_a_row_is_missing(worker: Worker) -> None:
    rows = play(worker, world=Talk(breaks="unrewarded"), max_turns=4).rows
    assert {row.columns["cut"] for row in rows} == {0.0}
    assert all(row.missing and math.isnan(row.columns["score"]) for row in rows)
    assert {row.columns["cost:wrong"] for row in rows} <= {0.0, 1.0, 2.0, 3.0}
    assert {row.episodes[0].rewards for row in rows} == {(None, None, None)}


# What is drawn


def test_a_window_is_a_function_of_its_index_and_the_seed(worker: Worker) -> None:
    one = play(worker, 2)
    assert ids(play(worker, 2).rows) == ids(one.rows)
    assert not set(ids(play(worker, 1).rows)) & set(ids(one.rows))
    assert not set(ids(play(worker, 2, seed=1).rows)) & set(ids(one.rows))
    seen = [e.prompt for k in range(3) for r in play(worker, k).rows[::3] for e in r.episodes]
    assert len(set(seen)) == 12, "one pass takes every seed once"


def test_a_draw_does_not_depend_on_who_else_plays(worker: Worker) -> None:
    """One game alone, among others, and in a larger group."""
    alone = play(worker, per_window=1, seeds=1, first=5)
    among = play(worker, per_window=8, seeds=8, first=0)
    more = play(worker, per_window=1, seeds=1, first=5, shape=Shape("answer", 7, "policy"))
    home = alone.rows[0].episodes[0].prompt
    assert ids([r for r in among.rows if r.episodes[0].prompt == home]) == ids(alone.rows)
    assert ids(more.rows)[:3] == ids(alone.rows)


def test_one_call_to_the_policy_a_turn(worker: Worker) -> None:
    asked: list[tuple[int, int]] = []

    class Counting:
        can, policy, encode = SAMPLER.can, SAMPLER.policy, staticmethod(SAMPLER.encode)

        async def sample(self, prompts: Any, n: int, how: Any) -> Any:
            asked.append((len(prompts), n))
            return await SAMPLER.sample(prompts, n, how)

    window = play(worker, sampler=Counting())
    turns = np.array([r.columns["turns"] for r in window.rows])
    assert asked == [(4, 3), (int((turns > 1).sum()), 1), (int((turns > 2).sum()), 1)]


def test_prompts_are_the_beginnings_of_all_seeds(worker: Worker) -> None:
    part = Episodes(world=GAME, seeds=5, first=3)
    source: Any = part.open(Surroundings("r/s", 0, POLICY, worker))
    assert [p.columns["seed"] for p in source.prompts()] == ["3", "4", "5", "6", "7"]
    assert source.notes == ["episodes of the world Guess, seeds 3 to 7, at most 8 answers each"]


# Asks


def judged(worker: Worker, written: list[Record], ask: Any = None) -> StageFeedback:
    desk = FrontDesk(written.extend, lambda: None)
    overseer = ScriptedOverseer(grades={word: float(word) for word in WORDS[:4]})
    asking = [Asking(ask or Each(column="score", collapse="distribution"), overseer)]
    return StageFeedback(asking, desk, worker, written.extend)


def test_an_ask_judges_the_last_answer_in_its_place(worker: Worker) -> None:
    written: list[Record] = []
    window = play(worker, feedback=judged(worker, written))
    held = {r.id: r for r in written}
    for row in window.rows:
        last = held[row.episodes[0].responses[-1]]
        assert isinstance(last, Response)
        known = last.text in WORDS[:4]
        assert row.missing == (not known)
        assert row.columns["turns"] >= 1, "the world's other columns stay"
        if known:
            assert row.columns["score"] == float(last.text), "before the world's own"
            (judgment,) = row.parents
            question: Any = held[held[judgment].parents[0]]
            assert question.responses == (last.id,)
            assert question.prompt == last.prompt
            asked = held[last.prompt]
            assert isinstance(asked, Prompt)
            assert asked.answered == 2 * (row.columns["turns"] - 1)
            assert asked.columns["seed"] == held[row.episodes[0].prompt].columns["seed"]  # type: ignore[attr-defined]


def test_an_ask_for_a_cost_leaves_the_score_to_the_world(worker: Worker) -> None:
    ask = Each(column="cost:size", collapse="distribution")
    window = play(worker, feedback=judged(worker, [], ask))
    known = [r for r in window.rows if not r.missing]
    assert {r.columns["score"] for r in known} == {0.0, 1.0}
    assert {r.columns["cost:size"] for r in known} <= {1.0, 2.0, 3.0, 4.0}


def test_last_answers_of_conversations_are_not_compared(worker: Worker) -> None:
    ask = Pairs(column="p", collapse="distribution")
    with pytest.raises(PlanError, match="single answers, such as each"):
        play(worker, feedback=judged(worker, [], ask))


@pytest.mark.parametrize("column", ["score", "cost:size"])
def test_an_answer_that_feedback_leaves_out_is_missing(worker: Worker, column: str) -> None:
    def first_only(groups: Sequence[Group]) -> Columns:
        one = groups[:1]
        return scored(one, {r.text: 1.0 for g in one for r in g.responses}, column)

    window = play(worker, feedback=first_only)
    assert 1 <= sum(not r.missing for r in window.rows) <= 3
    assert all(math.isnan(r.columns[column]) for r in window.rows if r.missing)


@pytest.mark.parametrize("asks", [True, False])
def test_everything_is_recorded_and_can_be_walked_back(worker: Worker, asks: bool) -> None:
    written: list[Record] = []
    desk = FrontDesk(written.extend, lambda: None)
    feedback = judged(worker, written) if asks else StageFeedback([], desk, worker, written.extend)
    window = play(worker, feedback=feedback)
    store = MemoryStore()
    store.put(*written, *(e for r in window.rows for e in r.episodes))
    for row in window.rows:
        (episode,) = row.episodes
        line = store.lineage(episode.id)
        kinds = [r.kind for r in line]
        turns = len(episode.responses)
        assert (kinds.count("response"), kinds.count("prompt")) == (turns, turns)
        for k, response in enumerate(episode.responses):
            said: Any = store.get(response)
            asked: Any = store.get(said.prompt)
            assert said.prompt_tokens == episode.prompt_tokens[k]
            assert asked.parents == (() if k == 0 else (episode.responses[k - 1],))
        assert store.get(episode.prompt).parents == ()
        assert all(store.get(judgment).kind == "judgment" for judgment in row.parents)
        assert bool(row.parents) == (asks and not row.missing)


# Broken promises


@pytest.mark.parametrize(
    ("breaks", "promise", "turn"),
    [
        ("seed", "a seed decides everything but the answers", 1),
        ("history", "goes on from the one before", 2),
        ("answer", "goes on from the one before", 2),
        ("words", "goes on from the one before", 2),
        ("silence", "goes on from the one before", 2),
        ("allowed", "allowed tokens of an episode", 2),
        ("reward", "a reward is finite", 2),
        ("cost", "costs are finite", 2),
        ("costs", "every step names the same costs", 2),
    ],
)
def test_a_world_that_breaks_its_promise_is_named_with_the_turn(
    worker: Worker, breaks: str, promise: str, turn: int
) -> None:
    with pytest.raises(ContractError, match=promise) as error:
        play(worker, 1, world=Talk(breaks=breaks), first=70, seeds=1, per_window=1)
    assert error.value.part == "_Broken"
    number = 1 if breaks == "seed" else 0
    assert error.value.found.startswith(f"window 1, episode {number} of seed 70, turn {turn}: ")


def test_a_sampler_that_tokenises_again_is_named_with_the_turn(worker: Worker) -> None:
    """It reads the text anew: the end that a cut answer never said, the blank that was no token."""

    class Again:
        can, policy, encode = SAMPLER.can, SAMPLER.policy, staticmethod(SAMPLER.encode)

        async def sample(self, prompts: Any, n: int, how: Any) -> Any:
            groups = await SAMPLER.sample(prompts, n, how)
            if "turn/2" not in how.key:
                return groups
            cut = [g.responses[0] for g in groups]
            told = [{"prompt_tokens": (*r.prompt_tokens[:7], 99, *r.prompt_tokens[8:])} for r in cut]
            changed = [r.model_copy(update=t) for r, t in zip(cut, told, strict=True)]
            return [Group(g.prompt, (r,)) for g, r in zip(groups, changed, strict=True)]

    with pytest.raises(ContractError, match="exact tokens") as error:
        play(worker, sampler=Again(), first=3, seeds=1, per_window=1, world=Talk())
    assert error.value.found == "window 0, episode 0 of seed 3, turn 3: another token at place 7"


@pytest.mark.parametrize("knows", ["tools", "refuses", "leaves out"])
def test_tools_speak_as_users_where_the_template_has_no_tools(worker: Worker, knows: str) -> None:
    class Template:
        can, policy = SAMPLER.can, SAMPLER.policy

        def encode(self, prompt: Prompt, text: str) -> Response:
            if knows == "refuses" and any(m.role == "tool" for m in prompt.messages):
                raise PlanError("prompt", "tool", "messages the model's chat template takes")
            known = tuple(m for m in prompt.messages if m.role != "tool" or knows == "tools")
            return SAMPLER.encode(prompt.model_copy(update={"messages": known}), text)

        async def sample(self, prompts: Any, n: int, how: Any) -> Any:
            for prompt in prompts:
                if prompt.answered:
                    roles.append(tuple(m.role for m in prompt.messages[2:]))
            return await SAMPLER.sample(prompts, n, how)

    roles: list[tuple[str, ...]] = []
    play(worker, sampler=Template(), world=Talk(breaks="tool"), shape=Shape("answer", 1, "policy"))
    last = "tool" if knows == "tools" else "user"
    assert set(roles) == {("user",), ("user", "assistant", last)}


# Plans


def test_a_method_that_learns_from_data_needs_another_source(worker: Worker) -> None:
    with pytest.raises(PlanError, match="offline"):
        play(worker, shape=Shape("answer", 1, "data"))


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"world": {"name": "guess", "numbers": 1}}, "sources.world.numbers"),
        ({"world": {"name": "gues"}}, "sources.world.name"),
        ({"world": "guess"}, "sources.world"),
        ({}, "sources.world"),
        ({"world": {"name": "guess"}, "max_turns": 0}, "sources.max_turns"),
    ],
)
def test_settings_that_do_not_fit_are_told_at_their_place(settings: dict[str, Any], path: str) -> None:
    with pytest.raises(PlanError) as error:
        build("sources", {"name": "episodes", **settings})
    assert error.value.path == path


def test_a_source_given_itself_is_built_back() -> None:
    """With the world's class, which the hash of the source knows too."""
    source = Episodes(world=Guess(numbers=6), per_window=2)
    stage: Any = {"name": "a", "windows": 1, "source": source, "method": {"name": "grpo"}}
    plan = Plan(name="x", model="m", stage=[stage])
    assert build("sources", plan.stage[0].source) == source
    assert source.config != Episodes(world=Guess(numbers=7), per_window=2).config
    assert source.config == build("sources", plan.stage[0].source).config  # type: ignore[attr-defined]


def test_no_file_is_read_and_none_written(worker: Worker, tmp_path: Path) -> None:
    play(worker)
    assert not list(tmp_path.iterdir())
