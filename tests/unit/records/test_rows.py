"""Episodes as masked sequences, and batches that are taken apart without changing what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.records import Episode, Response
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Row, Window

TOKENS = st.lists(st.integers(0, 9), max_size=4).map(tuple)
SOME = st.lists(st.integers(0, 9), min_size=1, max_size=4).map(tuple)


@st.composite
def conversations(draw: Any) -> Episode:
    """Turns whose prompts extend all that stands before, except where a break is drawn."""
    prompts, answers = [], []
    history: tuple[int, ...] = ()
    for _ in range(draw(st.integers(1, 4))):
        fresh = draw(st.booleans()) if history else True
        prompt = (*draw(SOME),) if fresh else (*history, *draw(TOKENS))
        answer = draw(TOKENS)
        prompts.append(prompt)
        answers.append(answer)
        history = (*prompt, *answer)
    return Episode(
        prompt="p",
        responses=tuple(f"r{k}" for k in range(len(answers))),
        prompt_tokens=tuple(prompts),
        tokens=tuple(answers),
        allowed=draw(st.none() | st.just((1, 2))),
        temperature=0.5,
    )


@given(conversations())
def test_every_answer_token_is_in_the_mask_once_and_in_order(episode: Episode) -> None:
    sequences = episode.sequences()
    said = [t for s in sequences for t, chosen in zip(s.tokens, s.answer, strict=True) if chosen]
    assert said == [t for answer in episode.tokens for t in answer]
    assert all((s.allowed, s.temperature) == (episode.allowed, 0.5) for s in sequences)


@given(conversations())
def test_every_answer_token_is_read_after_its_own_prompt(episode: Episode) -> None:
    """The tokens before an answer are exactly what the model saw at that turn."""
    places = [(s, i) for s in episode.sequences() for i, chosen in enumerate(s.answer) if chosen]
    seen = [s.tokens[:i] for s, i in places]
    wanted = [
        prompt + said[:k]
        for prompt, said in zip(episode.prompt_tokens, episode.tokens, strict=True)
        for k in range(len(said))
    ]
    assert seen == wanted


@given(conversations())
def test_no_history_is_computed_twice(episode: Episode) -> None:
    """A turn that extends what stands before adds to it; only a broken prefix begins anew."""
    breaks, history = 1, ()
    for turn, (prompt, said) in enumerate(zip(episode.prompt_tokens, episode.tokens, strict=True)):
        if turn and prompt[: len(history)] != history:
            breaks += 1
        history = prompt + said
    assert len(episode.sequences()) == breaks


def test_two_turns_are_one_sequence_and_a_broken_prefix_is_two() -> None:
    told = {"prompt": "p", "responses": ("a", "b"), "tokens": ((3, 0), (4, 0))}
    whole = Episode(prompt_tokens=((1, 2), (1, 2, 3, 0, 7)), **told)
    assert whole.sequences() == [Masked((1, 2, 3, 0, 7, 4, 0), (False, False, True, True, False, True, True))]
    broken = Episode(prompt_tokens=((1, 2), (1, 9, 3, 0, 7)), **told)
    assert [s.tokens for s in broken.sequences()] == [(1, 2, 3, 0), (1, 9, 3, 0, 7, 4, 0)]


def test_one_answer_is_an_episode_of_one_turn() -> None:
    said = Response(prompt="p", text="x", prompt_tokens=(1,), tokens=(2, 3), temperature=0.7)
    episode = Episode.single(said, allowed=(2, 3))
    assert (episode.parents, episode.prompt) == ((said.id,), "p")
    assert episode.sequences() == [Masked((1, 2, 3), (False, True, True), (2, 3), 0.7)]


@st.composite
def batches(draw: Any) -> Batch:
    """Rows of 0 to 3 sequences; every value names its row, sequence and place."""
    per_row = draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    row_S = [r for r, count in enumerate(per_row) for _ in range(count)]
    order = draw(st.permutations(range(len(row_S))))
    row_S = [row_S[i] for i in order]
    sequences, tokens = [], []
    for s, row in enumerate(row_S):
        mask = tuple(draw(st.lists(st.booleans(), min_size=1, max_size=4)))
        sequences.append(Masked(tuple(100 * s + i for i in range(len(mask))), mask))
        tokens += [1000.0 * row + 100 * s + i for i, chosen in enumerate(mask) if chosen]
    return Batch(
        sequences=tuple(sequences),
        row_S=np.array(row_S, dtype=np.int64),
        steps=(np.arange(len(per_row)),),
        counts=({"nll": 7.0},),
        weights={"nll": 1.0},
        rows={"advantage": np.arange(len(per_row)) * 10.0},
        tokens={"name": np.array(tokens, dtype=np.float64)},
        scalars={"x": 1.0},
    )


def by_row(batch: Batch) -> dict[float, list[tuple[tuple[int, ...], list[float]]]]:
    """What a batch says of each row, named by its own column."""
    cuts = np.cumsum(batch.lengths_S())[:-1]
    pieces = np.split(batch.tokens["name"], cuts) if batch.sequences else []
    told: dict[float, list[tuple[tuple[int, ...], list[float]]]] = {
        float(a): [] for a in batch.rows["advantage"]
    }
    for sequence, row, piece in zip(batch.sequences, batch.row_S, pieces, strict=True):
        told[float(batch.rows["advantage"][row])].append((sequence.tokens, piece.tolist()))
    return told


@given(batches(), st.randoms(use_true_random=False))
def test_a_part_says_of_its_rows_what_the_whole_says(batch: Batch, random: Any) -> None:
    count = len(batch.rows["advantage"])
    rows = random.sample(range(count), random.randint(0, count))
    part = batch.take(rows)
    assert part.rows["advantage"].tolist() == [10.0 * r for r in rows], "in this order"
    whole = by_row(batch)
    assert by_row(part) == {10.0 * r: whole[10.0 * r] for r in rows}
    assert (part.counts, part.weights, part.scalars) == (batch.counts, batch.weights, batch.scalars)
    assert len(part.tokens["name"]) == int(part.lengths_S().sum())


@given(batches())
def test_taking_all_rows_in_order_and_taking_twice_change_nothing(batch: Batch) -> None:
    count = len(batch.rows["advantage"])
    assert by_row(batch.take(range(count))) == by_row(batch)
    turned = batch.take(range(count)[::-1])
    assert by_row(turned.take(range(count)[::-1])) == by_row(batch)


@given(batches(), st.data())
def test_parts_put_together_are_the_whole(batch: Batch, data: Any) -> None:
    count = len(batch.rows["advantage"])
    cut = data.draw(st.integers(0, count))
    parts = [batch.take(range(cut)), batch.take(range(cut, count))]
    assert by_row(parts[0]) | by_row(parts[1]) == by_row(batch)


def test_a_row_that_is_listed_twice_counts_twice_or_is_refused() -> None:
    """A step drawn with replacement must not give the second copy's tokens to the first one's row."""
    sequence = Masked((1, 2), (False, True))
    batch = Batch(
        sequences=(sequence,),
        row_S=np.array([0]),
        steps=(np.array([0, 0]),),
        counts=({"nll": 2.0},),
        weights={"nll": 1.0},
        rows={"a": np.array([5.0])},
        tokens={"w": np.array([3.0])},
    )
    try:
        part = batch.take([0, 0])
    except ValueError:
        return
    assert part.row_S.tolist() == [0, 1]
    assert part.tokens["w"].tolist() == [3.0, 3.0]


def test_a_missing_row_has_no_number() -> None:
    episode = Episode.single(Response(prompt="p", text="x", prompt_tokens=(1,), tokens=(2,)))
    window = Window(0, (Row((episode,), {"score": 2.0}), Row((episode,), {"score": 9.0}, missing=True)))
    column = window.column("score")
    assert column[0] == 2.0
    assert np.isnan(column[1])
    with pytest.raises(KeyError):
        window.column("reward")
