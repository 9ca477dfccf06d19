"""Packing, against the plainest description of it: each token looks at what stands before it in its sequence.

Mutants: positions that go on after the prefix of another, a rest that does not see its prefix or sees that of
its neighbour, a predictor taken from the wrong member, padding that asks.
"""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.engines.local import layout as module
from accord.engines.local.layout import Job, Layout, clustered, packed, packed_size, said_A, shared_length
from accord.records import Episode
from accord.records import Sequence as Masked

CPU = torch.device("cpu")


def text(prompt: tuple[int, ...], *said: int, **told: object) -> Masked:
    return Masked((*prompt, *said), (*(False for _ in prompt), *(True for _ in said)))._replace(**told)


def looks(layout: Layout) -> dict[int, list[int]]:
    """For each packed place what it may look at; each place asks once."""
    found: dict[int, list[int]] = {}
    for job in layout.jobs:
        assert bool((job.bar_NQK == 0).any(2).all()), "a softmax over nothing is no number"
        for n, q in job.real_NQ.nonzero().tolist():
            place = int(job.ask_NQ[n, q])
            assert place not in found
            seen = job.look_NK[n][job.bar_NQK[n, q] == 0].tolist()
            assert len(set(seen)) == len(seen), "a token seen twice would weigh twice"
            found[place] = seen
    return found


def held(sequences: list[Masked], share: bool) -> Layout:
    """Packed, and compared with the sequences one by one; returns the layout for more."""
    layout = packed(sequences, share, CPU)
    tokens, positions = layout.tokens_T.tolist(), layout.position_T.tolist()
    seen = looks(layout)
    assert sorted(seen) == list(range(len(tokens)))
    answers = [(s, p) for s, q in enumerate(sequences) for p, said in enumerate(q.answer) if said]
    assert layout.sequence_A.tolist() == [s for s, _ in answers]
    assert layout.chosen_A.tolist() == [sequences[s].tokens[p] for s, p in answers]
    assert layout.temperature_A.tolist() == pytest.approx([sequences[s].temperature for s, _ in answers])
    expected = {
        t: sequences[s].allowed for t, (s, _) in enumerate(answers) if sequences[s].allowed is not None
    }
    assert layout.allowed == expected

    def history(place: int) -> list[tuple[int, int]]:
        return sorted((positions[i], tokens[i]) for i in seen[place])

    for place, (s, p) in zip(layout.at_A.tolist(), answers, strict=True):
        assert history(place) == list(enumerate(sequences[s].tokens[:p]))
    for place, (s, p) in zip(said_A(sequences, share, CPU).tolist(), answers, strict=True):
        assert history(place) == list(enumerate(sequences[s].tokens[: p + 1]))
    for place, sequence in zip(layout.last_S.tolist(), sequences, strict=True):
        assert history(place) == list(enumerate(sequence.tokens))
        # Its whole chain: whoever stands before it sees exactly what is before him.
        for i in seen[place]:
            assert history(i) == list(enumerate(sequence.tokens))[: positions[i] + 1]
    for i in range(len(tokens)):
        assert max(seen[i], key=lambda j: positions[j]) == i, "a token sees itself, and nothing later"
    return layout


ONE, TWO = (1, 2, 3, 4), (1, 2)


def test_a_pair_shares_its_prompt() -> None:
    pair = [text(ONE, 7, 8), text(ONE, 9)]
    layout = held(pair, True)
    assert layout.tokens_T.tolist() == [1, 2, 3, 4, 7, 8, 9]
    assert layout.position_T.tolist() == [0, 1, 2, 3, 4, 5, 4]
    assert layout.at_A.tolist() == [3, 4, 3]
    assert said_A(pair, True, CPU).tolist() == [4, 5, 6]
    assert layout.last_S.tolist() == [5, 6]
    assert packed_size(pair) == 7
    assert held(pair, False).tokens_T.tolist() == [1, 2, 3, 4, 7, 8, 1, 2, 3, 4, 9]


def test_answers_keep_the_order_of_the_sequences_wherever_they_lie() -> None:
    mixed = [text(TWO, 5), text(ONE, 6, 7), text(TWO, 8, 9, 10), text(ONE, 11), text(TWO, 5)]
    layout = held(mixed, True)
    assert layout.chosen_A.tolist() == [5, 6, 7, 8, 9, 10, 11, 5]
    assert layout.sequence_A.tolist() == [0, 1, 1, 2, 2, 2, 3, 4]
    assert len(layout.tokens_T) == 4 + 3 + 2 + 5, "two prompts once, five answers"


def test_a_prompt_that_only_begins_another_is_not_shared() -> None:
    """The first answer token decides: (1, 2) before its answer is not (1, 2, 3, 4)."""
    assert clustered([text(TWO, 3, 4), text(ONE, 5)], True) == [[0], [1]]
    held([text(TWO, 3, 4), text(ONE, 5)], True)


def test_several_turns_share_up_to_the_first_answer() -> None:
    def talk(*later: tuple[tuple[int, ...], tuple[int, ...]]) -> Masked:
        prompts, said = [ONE], [(7, 8)]
        for prompt, answer in later:
            prompts.append((*prompts[-1], *said[-1], *prompt))
            said.append(answer)
        told = {"responses": tuple("r" for _ in said), "prompt_tokens": tuple(prompts), "tokens": tuple(said)}
        (made,) = Episode(prompt="p", **told).sequences()
        return made

    talks = [talk(((20, 21), (22,))), talk(), talk(((30,), (31, 32)), ((33,), (34,)))]
    layout = held(talks, True)
    assert [shared_length(t) for t in talks] == [4, 4, 4]
    assert layout.chosen_A.tolist() == [7, 8, 22, 7, 8, 7, 8, 31, 32, 34]


def test_a_sequence_without_an_answer_is_all_prompt() -> None:
    layout = held([text(ONE), text(ONE), text(TWO, 3)], True)
    assert layout.last_S.tolist()[:2] == [3, 3]
    assert layout.at_A.shape == (1,)


def test_allowed_and_temperature_stand_with_their_own_tokens() -> None:
    held(
        [text(TWO, 5, 6, allowed=(5, 6, 7), temperature=0.5), text(TWO, 7), text(ONE, 8, allowed=(8,))], True
    )


def test_an_answer_without_anything_before_it_is_refused() -> None:
    for share in (True, False):
        with pytest.raises(ValueError, match="at least one prompt token"):
            packed([Masked((1, 2), (True, True))], share, CPU)


def test_nothing_packs_to_nothing() -> None:
    layout = packed([], True, CPU)
    assert (len(layout.tokens_T), layout.jobs, layout.last_S.tolist()) == (0, (), [])


_LIST = st.lists(
    st.tuples(st.integers(0, 3), st.lists(st.integers(1, 5), max_size=6), st.integers(1, 3)),
    min_size=1,
    max_size=9,
)


@given(_LIST, st.booleans())
def test_every_token_sees_exactly_its_own_past(told: list[tuple[int, list[int], int]], share: bool) -> None:
    prompts = [(1,), (1, 2), (1, 2, 3, 4, 5, 6, 7), tuple(range(1, 40))]
    held([text(prompts[p], *said, temperature=float(heat)) for p, said, heat in told], share)


def test_every_token_sees_its_past_when_there_are_many_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small limits, so that runs are cut for their padding and for their number."""
    draw = random.Random(0)
    prompts = [tuple(draw.randrange(9) for _ in range(n)) for n in (1, 3, 30, 31, 64)]
    many = [
        text(draw.choice(prompts), *(draw.randrange(9) for _ in range(draw.choice((0, 1, 2, 40)))))
        for _ in range(30)
    ]
    monkeypatch.setattr(module, "_JOB", 4)
    layout = held(many, True)
    assert len(layout.jobs) >= 8
    assert max(len(job.ask_NQ) for job in layout.jobs) <= 4


def _places(job: Job) -> tuple[int, int]:
    """Products made, and products needed but for the causal half of a token's own stretch."""
    n, width = job.ask_NQ.shape
    keys = job.look_NK.shape[1]
    real = 0
    for i in range(n):
        length = int(job.real_NQ[i].sum())
        real += length * (int((job.bar_NQK[i, 0, : keys - width] == 0).sum()) + length)
    return n * width * keys, real


def test_padding_is_bounded() -> None:
    """At most 1.3 of what is held, but for the 4,096 products a job may spend on being one."""
    draw = random.Random(1)
    prompts = [tuple(draw.randrange(99) for _ in range(draw.randrange(1, 200))) for _ in range(12)]
    many = [
        text(draw.choice(prompts), *(draw.randrange(99) for _ in range(draw.randrange(1, 120))))
        for _ in range(70)
    ]
    for share in (True, False):
        for job in packed(many, share, CPU).jobs:
            made, real = _places(job)
            assert made <= module._WASTE * real + 4096
            assert len(job.ask_NQ) <= module._JOB
