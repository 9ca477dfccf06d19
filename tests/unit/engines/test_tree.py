"""Reading trees, against the plainest description: each token looks at what stands before it in its text.

Mutants: a stretch that does not see what came two stretches before, a text that ends where others go on and
is laid down again or lost, positions that start anew, the predictor of the neighbour's token.
"""

from __future__ import annotations

import random

import pytest
import torch

from accord.engines.local.layout import Layout
from accord.engines.local.tree import treed
from accord.records import Sequence as Masked

CPU = torch.device("cpu")


def text(prompt: tuple[int, ...], *said: int) -> Masked:
    return Masked((*prompt, *said), (*(False for _ in prompt), *(True for _ in said)))


def looks(layout: Layout) -> dict[int, list[int]]:
    """For each place what it may look at; each place asks once."""
    found: dict[int, list[int]] = {}
    for job in layout.jobs:
        for n, q in job.real_NQ.nonzero().tolist():
            place = int(job.ask_NQ[n, q])
            assert place not in found
            found[place] = job.look_NK[n][job.bar_NQK[n, q] == 0].tolist()
            assert len(set(found[place])) == len(found[place]), "a token seen twice would weigh twice"
    return found


def made(chance: random.Random) -> list[Masked]:
    """Texts over three tokens that often begin alike."""
    stem = tuple(chance.randrange(3) for _ in range(chance.randrange(1, 15)))
    texts: list[Masked] = []
    for _ in range(chance.randrange(1, 9)):
        more = tuple(chance.randrange(3) for _ in range(chance.randrange(0, 12)))
        said = [chance.randrange(3) for _ in range(chance.randrange(1, 4))]
        texts.append(text((*stem[: chance.randrange(1, len(stem) + 1)], *more), *said))
    return texts


@pytest.mark.parametrize("seed", range(60))
def test_every_predictor_sees_its_own_text_and_nothing_else(seed: int) -> None:
    texts = made(random.Random(seed))
    layout = treed(texts, CPU)
    seen, tokens, positions = looks(layout), layout.tokens_T.tolist(), layout.position_T.tolist()
    assert sorted(seen) == list(range(len(tokens)))
    answers = [(s, p) for s, one in enumerate(texts) for p, said in enumerate(one.answer) if said]
    assert layout.sequence_A.tolist() == [s for s, _ in answers]
    assert layout.chosen_A.tolist() == [texts[s].tokens[p] for s, p in answers]
    for place, (s, p) in zip(layout.at_A.tolist(), answers, strict=True):
        history = sorted((positions[i], tokens[i]) for i in seen[place])
        assert history == list(enumerate(texts[s].tokens[:p]))


def test_what_begins_alike_is_laid_down_once_and_what_predicts_nothing_not_at_all() -> None:
    system = tuple(range(20))
    options = [text((*system, 30 + q, 40 + q), 7 + o) for q in range(3) for o in range(4)]
    layout = treed(options, CPU)
    assert len(layout.tokens_T) == 20 + 3 * 2  # the letters themselves predict nothing
    assert layout.at_A.tolist() == [21] * 4 + [23] * 4 + [25] * 4


def test_a_short_beginning_is_not_worth_a_stretch() -> None:
    layout = treed([text((1, 2, 3), 9, 9), text((1, 2, 4), 9, 9)], CPU)
    assert len(layout.tokens_T) == 8


def test_an_answer_needs_something_before_it() -> None:
    with pytest.raises(ValueError, match="before it"):
        treed([Masked((1, 2), (True, True))], CPU)
