"""Strings: gold by listing and by adding up, and proxies whose use turns the later the larger they are.

Mutants: the flourish left out of gold, a proxy that sees all pairs at any size, the chain read backwards,
places counted from the last symbol.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from accord.maths.divergences import best_of_n_bound
from accord.maths.enumerating import tilted, variation_bound
from accord.overseers.program import Program
from accord.records import Graded, Kind, Question
from accord.records.rows import Group
from accord.testing import a_response
from accord.testing.leaves import judged
from accord.testing.little import Little
from accord.testing.optimum import optimum
from accord.worlds.strings import (
    Strings,
    along_best,
    along_beta,
    base,
    chain,
    exact,
    gold,
    hidden,
    proxied,
    proxy,
    tasks,
    truths,
)

N = [round(2 ** (k / 2)) for k in range(20)]


def test_gold_and_proxy_are_scaled_by_the_base_and_gold_adds_up() -> None:
    config = Strings()
    share = base(config)
    assert share.size == 8**5
    assert share.sum() == pytest.approx(1)
    for of in (gold(config), proxy(config)):
        assert share @ of == pytest.approx(0, abs=1e-9)
        assert share @ of**2 == pytest.approx(1)
        assert np.unique(of).size == of.size, "no ties"
    truth = truths(config, ["7"])["7"]
    for place in (0, 1, 4096, 8**5 - 1):
        said = config.string(place)
        assert config.place(said) == place
        assert hidden(config, truth, [said]) == pytest.approx(float(gold(config)[place]), abs=1e-9)
    assert config.string(4097) == "b a a a b"


def test_the_first_flourish_pleases_and_the_fourth_does_not() -> None:
    config = Strings()
    share, said = base(config), [config.string(k).split().count("h") for k in range(8**5)]
    means = [np.average(gold(config)[m], weights=share[m]) for m in (np.array(said) == k for k in range(6))]
    assert means[0] < means[1]
    assert means[1] > means[2] > means[3] > means[4] > means[5]
    assert np.average(said, weights=share) < 0.5, "and the base says few"


def test_the_sizes_are_what_a_proxy_can_tell_apart() -> None:
    assert [Strings(reach=reach).size for reach in range(5)] == [40, 296, 488, 616, 680]
    config = Strings(noise=0.0, labels=1000)
    table = proxy(config).reshape((8,) * 5)
    mixed = table[0, 0] - table[0, 1] - table[1, 0] + table[1, 1]
    assert np.abs(mixed).max() < 1e-9, "single symbols add up"
    assert np.abs(proxy(Strings(reach=1)).reshape((8,) * 5)[:2, :2, 0, 0, 0] @ [1, -1] @ [1, -1]) > 1e-3
    many = Strings(reach=4, noise=0.0, labels=6000, symbols=4)
    share = base(many)
    assert share @ (proxy(many) * gold(many)) > 0.98


@pytest.mark.parametrize("table", [0, 3])
def test_a_proxy_is_overused_the_later_the_larger_it_is(table: int) -> None:
    peaks = list[int]()
    for reach in (0, 1, 2):
        along = along_best(Strings(table=table, reach=reach), N)
        proxies, golds = [at.proxy for at in along], [at.gold for at in along]
        assert proxies == sorted(proxies)
        peaks.append(int(np.argmax(golds)))
        assert golds[-1] < max(golds) - 0.2
    assert peaks[0] < peaks[1] < peaks[2]
    assert N[peaks[0]] <= 32
    pressed = along_beta(Strings(table=table), (2.0, 0.7, 0.05))
    assert pressed[2].gold < 0 < pressed[1].gold


def test_the_best_of_n_keeps_the_bounds() -> None:
    for n, at in zip(N, along_best(Strings(), N), strict=True):
        assert at.d**2 <= best_of_n_bound(n) + 1e-9
        assert at.variation <= variation_bound(n) + 1e-9
    assert exact(Strings())["KL, best of 2"] == pytest.approx(best_of_n_bound(2), abs=1e-6)
    assert exact(Strings())["variation, best of 64"] == pytest.approx(variation_bound(64), abs=1e-4)


def test_the_chain_is_the_base_and_the_optimum_that_of_the_exact_test() -> None:
    config = Strings(symbols=3, length=2)
    first, following = chain(config)
    with np.errstate(divide="ignore"):
        logits = np.log(np.stack([first, *following]))[None]
    little = Little(tuple(product(range(3), repeat=2)), logits, proxy(config)[None])
    assert little.shares(little.start())[0] == pytest.approx(base(config), abs=1e-12)
    best = little.shares(optimum(little, 0.5))[0]
    assert best == pytest.approx(tilted(base(config), proxy(config), 0.5), abs=1e-12)


def test_a_task_tells_its_proxy_and_any_text_has_a_gold() -> None:
    config = Strings(reach=1)
    one, other = tasks(config, ["0", "1"])
    assert one.text == other.text == "<act>"
    assert [config.alphabet[token] for token in one.allowed or ()] == list("abcdefgh")
    said = [a_response(one, text) for text in ("h a b c d", "h no such", "")]
    wanted = [float(proxy(config)[config.place(text)]) for text in ("h a b c d", "h a a a a", "a a a a a")]
    questions = [Question(asks=Kind.GRADE, prompt=one.id, responses=(r.id,)) for r in said]
    program = Program(fn="accord.worlds.strings:proxied")
    found = [j.verdict for j in judged(program, questions, [Group(one, tuple(said))])]
    assert [v.scores["score"] for v in found if isinstance(v, Graded)] == wanted
    assert proxied(["<act>"], ["h a b c d"], [one.columns["strings"]]) == wanted[:1]  # type: ignore[list-item]
    assert not {"single", "pair", "scale"} & set(one.columns)
