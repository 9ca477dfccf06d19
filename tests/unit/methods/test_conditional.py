"""conditional: bands by hand, marks in the prompts of real chats, and what a window says of itself.

Mutants: NaN as a score, a border to the lower band, windows of equal scores in a band, answers told anew with
their prompt, one turn's prefix only, the mark behind the system message, two system messages, a prompt
rendered for every row, marks drawn from the scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.engines.local import Local
from accord.errors import PlanError
from accord.measuring import Measuring, rendering
from accord.methods.conditional import Conditional, bands, opened
from accord.ports import Learner, Marking, Task
from accord.records import Episode, Message, Prompt
from accord.records.rows import Row, Window
from accord.testing import a_window, check_method, save_tiny

Rendered = Callable[[str, str], tuple[int, ...]]


WINDOW = a_window([[3.0, 1.0, None], [2.0, 4.0, 1.0]])


def plainly(window: Window) -> Rendered:
    """A rendering that can be read: 900 and the mark's length before the prompt's own tokens."""
    at = {row.episodes[0].prompt: row.episodes[0].prompt_tokens[0] for row in window.rows}
    return lambda prompt, mark: (900 + len(mark), *at[prompt])


def marked(method: Conditional, window: Window = WINDOW, seed: int = 0) -> Window:
    return method.marked(window, plainly(window), np.random.default_rng(seed))


def test_bands_by_hand() -> None:
    """Five scores in two bands: 1, 1 stand at .2, 2 on the border, 3 and 4 above it."""
    scores = np.array([3.0, 1.0, np.nan, 2.0, 4.0, 1.0])
    assert bands(scores, 2).tolist() == [1, 0, -1, 1, 1, 0]
    assert bands(scores, 5).tolist() == [3, 1, -1, 2, 4, 1]
    assert bands(np.arange(12.0), 3).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert bands(np.array([0.0, 1.0, 1.0, 1.0]), 2).tolist() == [0, 1, 1, 1], "wrong and right, however few"
    assert bands(np.array([0.1 + 0.2, 0.3, np.inf]), 3).tolist() == [1, 0, 2]
    for same in ([], [np.nan], [2.0], [2.0, np.nan, 2.0]):
        assert set(bands(np.array(same), 3).tolist()) <= {-1}


def test_marks_stand_in_the_prompt_and_answers_stay_as_they_are() -> None:
    method = Conditional(unmarked=0.0, marks=("bad", "good!"))
    assert isinstance(method, Marking)
    found = marked(method)
    assert [row.columns["band"] for row in found.rows] == pytest.approx([1, 0, np.nan, 1, 1, 0], nan_ok=True)
    for before, row in zip(WINDOW.rows, found.rows, strict=True):
        (old,), (new,) = before.episodes, row.episodes
        assert (new.tokens, new.responses, new.prompt) == (old.tokens, old.responses, old.prompt)
        mark = {0.0: (903,), 1.0: (905,)}.get(row.columns["band"], ())
        assert new.prompt_tokens == ((*mark, *old.prompt_tokens[0]),)
        assert (new.id == old.id) is (not mark), "another prompt is another fact"
        assert (row.group, row.missing, row.columns["score"]) == (
            before.group,
            before.missing,
            pytest.approx(before.columns["score"], nan_ok=True),
        )
    batch, memory = method.batch(found, {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    assert [s.tokens[0] for s in batch.sequences] == [905, 903, 905, 905, 903]
    assert batch.tokens["weight"].tolist() == [1.0] * len(batch.tokens["weight"])


def test_what_a_window_says_of_itself() -> None:
    batch, _ = Conditional(unmarked=0.0).batch(
        marked(Conditional(unmarked=0.0)), {}, np.random.default_rng(0)
    )
    assert batch.scalars == pytest.approx(
        {
            "rows": 6,
            "missing": 1,
            "without_band": 0,
            "unmarked": 0,
            "score": 11 / 5,
            "score_lowest": 1.0,
            "score_highest": 3.5,
        }
    )
    told = Conditional().batch(WINDOW, {}, np.random.default_rng(0))[0].scalars
    assert (told["unmarked"], told["rows"], told["missing"]) == (5, 6, 1), "nobody marked this window"
    assert np.isnan(told["score_highest"]), "no row, no figure"


def test_a_window_of_equal_scores_has_no_bands_and_its_rows_leave() -> None:
    window = a_window([[1.0, 1.0], [1.0, None]])
    batch, _ = Conditional().batch(marked(Conditional(unmarked=0.0), window), {}, np.random.default_rng(0))
    assert (batch.steps, batch.sequences) == ((), ())
    assert (batch.scalars["without_band"], batch.scalars["missing"]) == (3, 1)
    some = marked(Conditional(unmarked=0.9), window)
    batch, _ = Conditional().batch(some, {}, np.random.default_rng(0))
    assert len(batch.sequences) == batch.scalars["unmarked"] > 0, "a fair sample of the policy stays one"
    assert all(s.tokens[0] < 900 for s in batch.sequences)


def test_which_rows_stay_unmarked_is_drawn_and_nothing_of_them_is_looked_at() -> None:
    many = a_window([[float(k) for k in range(4)] for _ in range(100)])
    turned = replace(many, rows=tuple(replace(r, columns={"score": -r.columns["score"]}) for r in many.rows))
    method = Conditional(unmarked=0.25)

    def unmarked(window: Window, seed: int) -> list[bool]:
        return [row.columns["band"] == -1 for row in marked(method, window, seed).rows]

    assert unmarked(many, 0) == unmarked(turned, 0) == unmarked(many, 0)
    assert unmarked(many, 0) != unmarked(many, 1)
    assert np.mean(unmarked(many, 0)) == pytest.approx(0.25, abs=0.07)  # 3 standard deviations of 400 draws


def test_a_prompt_is_rendered_once_for_each_of_its_marks() -> None:
    asked: Counter[tuple[str, str]] = Counter()

    def counting(prompt: str, mark: str) -> tuple[int, ...]:
        asked[prompt, mark] += 1
        return plainly(WINDOW)(prompt, mark)

    Conditional(unmarked=0.0, marks=("no", "yes")).marked(WINDOW, counting, np.random.default_rng(0))
    assert set(asked.values()) == {1}
    assert len(asked) == 4


def test_turns_keep_the_mark_of_the_first_prompt() -> None:
    turns = {"prompt_tokens": ((1, 2), (1, 2, 5, 3), (1, 2, 5, 3, 6, 4)), "tokens": ((5,), (6,), (7, 8))}
    talk = Episode(prompt="q", responses=("a", "b", "c"), **turns)  # type: ignore[arg-type]
    found = opened(talk, (9, 9, 2))
    assert found.prompt_tokens == ((9, 9, 2), (9, 9, 2, 5, 3), (9, 9, 2, 5, 3, 6, 4))
    assert found.tokens == talk.tokens
    assert len(found.sequences()) == len(talk.sequences()) == 1, "what was one sequence stays one"
    cut = Episode(prompt="q", responses=("a", "b"), prompt_tokens=((1, 2), (2, 5, 3)), tokens=((5,), (6,)))
    with pytest.raises(PlanError, match="go on from their first prompt"):
        opened(cut, (9,))


# In a real chat


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Learner:
    folder = save_tiny(tmp_path_factory.mktemp("tiny"), layers=1, width=16)
    engine = Local(adapter="full", decode="float32", precision="float32", device="cpu")
    return engine.learner(str(folder), Task("run/stage", 0))


def chat(*said: tuple[str, str]) -> Prompt:
    return Prompt(messages=tuple(Message(role=role, content=text) for role, text in said))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ([("user", "Why?")], [("system", "good"), ("user", "Why?")]),
        (
            [("system", "You are a pilot."), ("user", "Why?")],
            [("system", "good\nYou are a pilot."), ("user", "Why?")],
        ),
        ([("system", ""), ("user", "Why?")], [("system", "good"), ("user", "Why?")]),
        (
            [("user", "Why?"), ("assistant", "So."), ("user", "And?")],
            [("system", "good"), ("user", "Why?"), ("assistant", "So."), ("user", "And?")],
        ),
    ],
    ids=["no system message", "a system message", "an empty one", "several messages"],
)
def test_a_mark_is_the_first_line_of_the_system_message(
    learner: Learner, asked: list[tuple[str, str]], wanted: list[tuple[str, str]]
) -> None:
    """A marked row reads to the token as the chat of a person who asks for that mark."""
    prompt, other = chat(*asked), Prompt.of("Else?")
    sampler = learner.sampler()
    rows = tuple(
        Row((Episode.single(sampler.encode(p, text)),), {"score": score}, group=g)
        for g, (p, text, score) in enumerate([(prompt, "So, good it is.", 2.0), (other, "No", 1.0)])
    )
    method = Conditional(marks=("bad", "good"), unmarked=0.0)
    measuring = Measuring(rendered=rendering(learner, [prompt, other]))
    found = measuring.of(Window(0, rows), method, learner, seed=0)
    as_asked = sampler.encode(chat(*wanted), "So, good it is.")
    (episode,) = found.rows[0].episodes
    assert episode.prompt_tokens == (as_asked.prompt_tokens,)
    assert episode.tokens == (as_asked.tokens,)
    assert episode.prompt == prompt.id
    assert found.measured == {}
    batch, _ = method.batch(found, {}, np.random.default_rng(0))
    assert batch.sequences[0].tokens == (*as_asked.prompt_tokens, *as_asked.tokens)


def test_nothing_renders_without_a_learner() -> None:
    with pytest.raises(PlanError, match="a learner that renders prompts"):
        Measuring().of(WINDOW, Conditional(unmarked=0.0), None, 0)  # type: ignore[arg-type]


# What it says of itself


@pytest.mark.parametrize(
    "told",
    [{"marks": ["one"]}, {"marks": ["a", "a "]}, {"marks": ["a", " "]}, {"unmarked": 1.0}, {"n": 0}],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Conditional.model_validate(told)


def test_it_keeps_the_promises_of_a_method_marked_or_not() -> None:
    class Marked(Conditional):
        """Decides on windows that were marked, in the prompts that the kit knows them by."""

        def batch(self, window: Window, memory: Any, rng: Any) -> Any:
            found = marked(self, window)
            rows = [replace(b, episodes=a.episodes) for a, b in zip(window.rows, found.rows, strict=True)]
            return super().batch(replace(window, rows=tuple(rows)), memory, rng)

    check_method(Conditional())
    check_method(Marked(unmarked=0.3))


def test_a_window_without_scores_names_the_ask() -> None:
    rows = tuple(replace(row, columns={}, missing=False) for row in WINDOW.rows)
    for told in (lambda w: marked(Conditional(), w), lambda w: Conditional().batch(w, {}, None)):
        with pytest.raises(PlanError, match='an ask whose column is "score"'):
            told(Window(0, rows))


def test_what_it_says_of_itself() -> None:
    method = Conditional(n=5)
    assert (method.rows.unit, method.rows.n, method.rows.by) == ("answer", 5, "policy")
    assert (method.pushes_down, method.needs().columns) == (False, frozenset())
    assert method.marks == ("Quality: low", "Quality: middle", "Quality: high")
