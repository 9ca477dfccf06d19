"""Stories: what a judge may conclude, counted by a solver of its own; and what is hidden from it.

Mutants: a quote that excludes the truth, a move that is counted only the first time, quotes that count where
a line was shown but not where it is hidden, another story for another share, a place that is not superseded.
"""

from __future__ import annotations

from itertools import pairwise, product
from typing import cast

import numpy as np
import pytest

from accord.records import Prompt
from accord.worlds.stories import MOVES, PLACES, Stories, believed, exact, seen, tasks, truths

SEEDS = [str(i) for i in range(60)]


def counted(shown: tuple[str, ...], quoted: list[str]) -> list[float]:
    """The same by writing down every walk there is."""
    found = [0] * 4
    for walk in product(range(4), repeat=len(shown) + 1):
        steps = list(pairwise(walk))
        if any(a == b for a, b in steps):
            continue
        lines = [f"{PLACES[a]}>{PLACES[b]}" for a, b in steps]
        if all(see in ("_", line) for see, line in zip(shown, lines, strict=True)) and {*quoted} <= {*lines}:
            found[walk[-1]] += 1
    return [count / sum(found) for count in found]


@pytest.mark.parametrize("seed", SEEDS[:12])
def test_what_is_believed_is_what_counting_every_walk_gives(seed: str) -> None:
    config, draw = Stories(lines=4, hidden=0.75), np.random.default_rng(int(seed))
    (prompt,) = tasks(config, [seed])
    lines = str(prompt.columns["story"]).split(" ")
    quoted = [lines[int(at)] for at in draw.integers(4, size=int(draw.integers(3)))]
    shown = seen(prompt.text)
    assert believed(shown, quoted).tolist() == pytest.approx(counted(shown, quoted), abs=1e-12)
    assert believed(shown, [*quoted, "no line"]).tolist() == believed(shown, quoted).tolist()


def test_the_known_facts() -> None:
    for share, seeds in ((0.0, SEEDS), (1.0, SEEDS)):
        config = Stories(hidden=share)
        right = [cast("dict[str, str]", one)["answer"] for one in truths(config, seeds).values()]
        p = [
            believed(seen(prompt.text), [])[PLACES.index(end)]
            for prompt, end in zip(tasks(config, seeds), right, strict=True)
        ]
        assert p == pytest.approx([1.0 if share == 0 else 0.25] * len(seeds), abs=1e-12)
    assert (exact(Stories())["full"], exact(Stories())["nothing"]) == (1.0, 0.5)


def test_no_true_quote_excludes_the_end_and_what_was_seen_tells_nothing_new() -> None:
    config, draw = Stories(), np.random.default_rng(0)
    for seed, prompt in zip(SEEDS, tasks(config, SEEDS), strict=True):
        lines, shown = str(prompt.columns["story"]).split(" "), seen(prompt.text)
        end = PLACES.index(lines[-1].partition(">")[2])
        some = [lines[int(at)] for at in draw.permutation(8)[:6]]
        assert all(believed(shown, some[:k])[end] > 0 for k in range(7)), seed
        again = [line for line in shown if line != "_"]
        assert believed(shown, again).tolist() == believed(shown, []).tolist()
    with pytest.raises(ValueError, match="no story"):
        believed(("barn>mill", "mill>barn"), ["yard>loft"])


def test_a_larger_share_hides_the_same_lines_and_more() -> None:
    configs = [Stories(hidden=share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert [config.taken for config in configs] == [0, 2, 4, 6, 8]
    for told in zip(*(tasks(config, SEEDS) for config in configs), strict=True):
        away = [{at for at, line in enumerate(seen(prompt.text)) if line == "_"} for prompt in told]
        assert [len(one) for one in away] == [0, 2, 4, 6, 8]
        assert all(fewer < more for fewer, more in pairwise(away))
        assert len({str(prompt.columns) for prompt in told}) == 1


def test_the_wrong_place_is_superseded() -> None:
    rights = truths(Stories(), SEEDS)
    first = 0
    for seed, prompt in zip(SEEDS, tasks(Stories(), SEEDS), strict=True):
        lines = str(prompt.columns["story"]).split(" ")
        assert {*lines} <= {*MOVES}
        assert all(a.partition(">")[2] == b.partition(">")[0] for a, b in pairwise(lines))
        right = cast("dict[str, str]", rights[seed])["answer"]
        wrong = _other(prompt, right)
        assert right == lines[-1].partition(">")[2] != wrong
        assert any(line.startswith(f"{wrong}>") for line in lines), "the key was there, and left"
        first += cast("list[str]", prompt.columns["offers"])[0] == right
    assert 15 < first < 45


def _other(prompt: Prompt, right: str) -> str:
    return next(one for one in cast("list[str]", prompt.columns["offers"]) if one != right)
