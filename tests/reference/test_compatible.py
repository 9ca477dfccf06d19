"""compatible reaches π_ref on what is accepted and within reach, and its gradient pushes nothing down.

Exact: the threshold form of best_of_n by enumeration; over rloo and grpo π* ∝ π_ref·exp(r/β), with a push
down and without; with everything let through, the batches of the inner method to the bit. The gradient is
that of the inner method's batch with withheld rows deleted after advantages and denominators are fixed, and
not that of a window which never had them. Mutants that are put in and must miss: the nucleus the wrong way
round, the limit ignored, what is pushed down withheld too, denominators that shrink, positive advantages
lowered.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local
from accord.engines.scripted.losses import Beside
from accord.methods.best_of_n import BestOfN
from accord.methods.compatible import Compatible
from accord.methods.dpo import DPO
from accord.methods.grpo import GRPO
from accord.methods.ipo import IPO
from accord.methods.online_dpo import OnlineDPO
from accord.methods.ppo import PPO
from accord.methods.reinforce_pp import ReinforcePP
from accord.methods.rloo import RLOO
from accord.methods.sft import SFT
from accord.ports import Method, Task
from accord.records import Episode, Prompt
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing import (
    Data,
    Little,
    Tables,
    a_window,
    bandit,
    distance,
    enumerated,
    evaluate,
    expected_gradient,
    optimum,
    save_tiny,
    strings,
)
from accord.testing.checks_training import windows_for

BETA = 0.5


def arms() -> Little:
    """Arms of .8, .1, .07 and .03, of which all but the first are accepted; the last lies beyond."""
    share, accepted = np.array([[[0.8, 0.1, 0.07, 0.03]]]), np.array([[0.0, 1.0, 1.0, 1.0]])
    return replace(bandit(), reference_PCV=np.log(share), reward_PA=accepted)


def words() -> Little:
    """The 15 strings under a decided π_ref, some of them accepted, of which some lie beyond."""
    little, rng = strings(), np.random.default_rng(1)
    draw = 2.5 * rng.normal(size=little.reference_PCV.shape)
    reference = np.where(np.isfinite(little.reference_PCV), draw, -np.inf)
    return replace(little, reference_PCV=reference, reward_PA=(rng.random((1, 15)) < 0.6).astype(np.float64))


def within(little: Little, limit: float) -> Floats:
    """Which answers have at most this share of their tokens beyond π_ref's nucleus of .95."""
    p = np.exp(little.logp_PCV(little.start()))
    found = np.ones(little.reward_PA.shape)
    for prompt in range(little.prompts):
        for a, (at, token) in enumerate(little.places):
            over = [
                p[prompt, c][p[prompt, c] > p[prompt, c, t]].sum() for c, t in zip(at, token, strict=True)
            ]
            found[prompt, a] = np.mean([mass >= 0.95 for mass in over]) <= limit
    return found


def conditioned(little: Little, kept_PA: Floats) -> Tables:
    """π_ref on what is kept; what leads nowhere is as good as impossible, without being log 0."""
    mass = little.mass(little.shares(little.start()) * kept_PA)
    return little.start()._replace(logits_PCV=np.log(np.maximum(mass, 1e-200)))


def once(little: Little) -> Data:
    """One round: answers of π_ref, however the policy moves."""
    return Data(shares_PA=little.shares(little.start()))


# What it reaches


@pytest.mark.parametrize("outside", [1.0, 0.1])
def test_it_reaches_the_reference_on_what_is_accepted_and_within_reach(outside: float) -> None:
    """One decision, answers of the policy as it then is: equal steps leave equal odds."""
    little, method = arms(), Compatible(inner=BestOfN(n=2, threshold=1.0), outside=outside)
    kept = little.reward_PA * within(little, outside)
    assert kept.tolist() == [[0.0, 1.0, 1.0, float(outside == 1)]]
    assert distance(little, enumerated(method, little, rounds=40).tables, conditioned(little, kept)) <= 1e-3


@pytest.mark.parametrize("outside", [1.0, 0.1])
def test_one_round_of_strings_is_at_rest_there_and_nowhere_else(outside: float) -> None:
    """Answers of π_ref: the objective is convex, so where its gradient vanishes is what it reaches."""
    little, method = words(), Compatible(inner=BestOfN(n=2, threshold=1.0), outside=outside)
    kept = little.reward_PA * within(little, outside)
    assert 1 < kept.sum() <= little.reward_PA.sum() < 15
    assert (kept.sum() < little.reward_PA.sum()) == (outside < 1), "something accepted lies beyond"
    there = conditioned(little, kept)
    assert expected_gradient(method, little, there, data=once(little)).largest <= 1e-8
    assert expected_gradient(method, little, little.start(), data=once(little)).largest > 1e-2


@pytest.mark.parametrize(
    "inner", [RLOO(n=2, beta=BETA), GRPO(n=2, beta=BETA, scale_std=False)], ids=["rloo", "grpo"]
)
@pytest.mark.parametrize(
    ("little", "push"),
    [(bandit(), 1.0), (bandit(), 0.0), (strings(bits=2), 1.0), (strings(bits=1), 0.0)],
    ids=["bandit 1", "bandit 0", "strings 1", "strings 0"],
)
def test_within_reach_it_reaches_the_optimum_of_its_inner_method(
    inner: Method, little: Little, push: float
) -> None:
    """Without a push down too: only where all r̃ are equal is nothing raised over anything else."""
    method = Compatible(inner=inner, outside=1.0, push_down=push)
    assert distance(little, enumerated(method, little, rounds=60).tables, optimum(little, BETA)) <= 1e-3
    assert expected_gradient(method, little, optimum(little, BETA)).largest <= 1e-8


ADVANTAGES: list[Method] = [
    GRPO(n=2, scale_std=False),
    GRPO(n=3, epochs=2, rows_per_step=3, mask_cut=False),
    RLOO(n=3),
    RLOO(n=2, epochs=2, rows_per_step=2, clip=0.2),
    ReinforcePP(n=2),
    PPO(n=2, rows_per_step=2),
]
OTHERS: list[Method] = [
    BestOfN(n=3),
    SFT(epochs=2, rows_per_step=1),
    DPO(),
    IPO(rows_per_step=1),
    OnlineDPO(),
]


def windows(method: Method) -> list[Window]:
    needs = method.needs()
    return windows_for(method.rows, (), needs.columns | {one.column for one in needs.reads})


def plain(method: Method, window: Window, seed: int = 4) -> Batch:
    """The inner method's own batch of a window that was measured for it alone."""
    needs = method.needs().columns
    measured = {name: column for name, column in window.measured.items() if name in needs}
    return method.batch(replace(window, measured=measured), {}, np.random.default_rng(seed))[0]


@pytest.mark.parametrize("inner", [*ADVANTAGES, *OTHERS], ids=lambda m: type(m).__name__)
def test_with_everything_let_through_batches_are_those_of_the_inner_method(inner: Method) -> None:
    told = {"push_down": 1.0} if inner in ADVANTAGES else {}
    method = Compatible(inner=inner, outside=1.0, **told)
    for window in windows(method):
        found, _ = method.batch(window, {}, np.random.default_rng(4))
        wanted = plain(inner, window)
        assert (found.sequences, found.counts, found.weights) == (
            wanted.sequences,
            wanted.counts,
            wanted.weights,
        )
        assert found.row_S.tobytes() == wanted.row_S.tobytes()
        assert [s.tobytes() for s in found.steps] == [s.tobytes() for s in wanted.steps]
        for columns, own in ((found.tokens, wanted.tokens), (found.rows, wanted.rows)):
            assert {n: c.tobytes() for n, c in columns.items()} == {n: c.tobytes() for n, c in own.items()}
        told_too = {n: x for n, x in found.scalars.items() if n in wanted.scalars}
        assert repr(told_too) == repr(dict(wanted.scalars))
        assert found.parents == ()


# The gradient itself


def pressures(method: Method, batch: Batch) -> dict[str, list[float]]:
    """∂objective/∂log π and /∂V of every answer token, over all steps, where π is no more what it was."""
    found: dict[str, list[float]] = {"policy": [], "value": []}
    rng = np.random.default_rng(0)
    for step, counts in zip(batch.steps, batch.counts, strict=True):
        part = batch.take(step)
        scale = {name: batch.weights[name] / count for name, count in counts.items()}
        now = -rng.exponential(size=int(part.lengths_S().sum()))
        slope = evaluate(method.loss, part, now, scale, "torch", Beside.made_up(part))
        found["policy"] += slope.pressure_T.tolist()
        found["value"] += slope.value_T.tolist()
    return found


@pytest.mark.parametrize("inner", ADVANTAGES, ids=lambda m: type(m).__name__)
def test_without_a_push_down_no_token_loses_probability(inner: Method) -> None:
    method = Compatible(inner=inner)
    assert not method.pushes_down
    seen, down, up = windows(method), 0, 0
    for window in seen:
        down += sum(x > 0 for x in pressures(inner, plain(inner, window))["policy"])
        found = pressures(method, method.batch(window, {}, np.random.default_rng(4))[0])
        assert all(x <= 0 for x in found["policy"])
        up += sum(x < 0 for x in found["policy"])
    assert down and up, "the inner method does push down, and something is left to raise"


@pytest.mark.parametrize("push", [0.25, 1.0])
def test_a_part_of_the_push_down_is_that_part(push: float) -> None:
    window = a_window([[0.0, 1.0, 3.0]])
    window = replace(window, measured={"support": tuple(np.ones(k) for k in (1, 2, 3))})
    inner = GRPO(n=3, beta=0.0, scale_std=False)
    batch, _ = Compatible(inner=inner, push_down=push).batch(window, {}, np.random.default_rng(0))
    whole = plain(inner, window).tokens["advantage"]
    assert batch.tokens["advantage"] == pytest.approx(np.where(whole < 0, push * whole, whole))
    assert batch.counts == plain(inner, window).counts


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"), 3, layers=1, width=16)


SAID = [("Why?", "So."), ("Why?", "Because it is."), ("Why?", "no"), ("Who?", "They"), ("Who?", "I, or you.")]
SCORES = [1.0, 0.0, 3.0, 2.0, 1.0]


def answered(learner: Any, method: Method, beyond: set[int]) -> Window:
    """A window of these answers, measured by the learner; those in ``beyond`` lie beyond the nucleus."""
    said = [learner.sampler().encode(Prompt.of(p), a) for p, a in SAID]
    rows = tuple(
        Row((Episode.single(r),), {"score": s, "cut": 0.0}, group=int(p == "Who?"))
        for r, s, (p, _) in zip(said, SCORES, SAID, strict=True)
    )
    support = tuple(np.full(len(r.tokens), float(i not in beyond)) for i, r in enumerate(said))
    return Window(0, rows, {**learner.measure(rows, method.needs()), "support": support})


@pytest.mark.parametrize("inner", [GRPO(n=2, scale_std=False), RLOO(n=2)], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("push", [0.0, 1.0])
def test_the_gradient_of_a_model_is_that_with_withheld_rows_deleted_once_all_is_decided(
    inner: Method, push: float, folder: Path
) -> None:
    """Answer 2, the best to its prompt, lies beyond; so does answer 1, which nobody raises."""
    engine = Local(adapter="full", decode="float32", precision="float32", device="cpu")
    method = Compatible(inner=inner, push_down=push)
    made: Any = engine.learner(str(folder), Task("run/stage", 0, method.needs()))
    window = answered(made, method, {1, 2})
    batch, _ = method.batch(window, {}, np.random.default_rng(0))
    whole = plain(inner, window)
    # Of the scores 1, 0, 3 the mean is 4/3: only answer 2 is raised. Of 2 and 1 the first is.
    kept = [3] if push == 0 else [0, 1, 3, 4]
    assert [s.tokens for s in batch.sequences] == [whole.sequences[i].tokens for i in kept]
    assert batch.counts == whole.counts
    part = replace(whole.take(kept), steps=(np.arange(len(kept)),))
    ours, wanted = (made.gradients(one, 0, inner.loss) for one in (batch, part))
    assert ours.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-6, atol=1e-9)

    fewer = plain(inner, without_row(window, 2))
    other = made.gradients(fewer, 0, inner.loss)
    apart = max(float((other[name] - gradient).abs().max()) for name, gradient in wanted.items())
    assert apart > 1e-3, "a window that never had the answer has another baseline"

    outcome = made.update(batch, 0, method.loss)
    assert outcome.applied
    assert outcome.pressure_T.size == sum(len(s.answer) and sum(s.answer) for s in batch.sequences)
    if push == 0:
        assert (outcome.pressure_T < 0).all(), "every taught token is raised, none lowered"


def without_row(window: Window, gone: int) -> Window:
    keep = [i for i in range(len(window.rows)) if i != gone]
    measured = {name: tuple(column[i] for i in keep) for name, column in window.measured.items()}
    return replace(window, rows=tuple(window.rows[i] for i in keep), measured=measured)


def test_a_critic_learns_from_withheld_rows_as_from_all() -> None:
    inner = PPO(n=2, whiten=False)
    method = Compatible(inner=inner, outside=0.0)
    for window in windows(method)[:2]:
        beyond = tuple(np.zeros(len(column)) for column in window.measured["support"])
        window = replace(window, measured={**window.measured, "support": beyond})
        found, wanted = method.batch(window, {}, np.random.default_rng(4))[0], plain(inner, window)
        assert found.scalars["withheld"] > 0
        assert found.sequences == wanted.sequences
        assert found.tokens["return"].tobytes() == wanted.tokens["return"].tobytes()
        assert pressures(method, found)["value"] == pressures(inner, wanted)["value"]
        assert not any(pressures(method, found)["policy"])
        assert any(pressures(inner, wanted)["policy"])


def test_what_is_judged_erratically_is_raised_as_if_it_were_good() -> None:
    """Arm 0 always scores 0, arm 1 one or minus one: worth the same, if pushes down are felt."""
    gains: dict[float, Floats] = {}
    for push in (0.0, 1.0):
        method = Compatible(inner=GRPO(n=2, beta=0.0, scale_std=False), outside=1.0, push_down=push)
        gain_A = np.zeros(2)
        for arms in ((0, 0), (0, 1), (1, 0), (1, 1)):
            for noise in ((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)):
                batch = erratic(method, arms, noise)
                for sequence, row in zip(batch.sequences, batch.tokens["advantage"], strict=True):
                    gain_A[sequence.tokens[-1]] += row / 16
        gains[push] = gain_A
    assert gains[1.0] == pytest.approx(np.zeros(2), abs=1e-12)
    # Half the draws pair the arms, and one of the two gains ½; of two draws of arm 1 the lucky one gains 1.
    assert gains[0.0] == pytest.approx([1 / 8, 1 / 8 + 1 / 8])


def erratic(method: Method, arms: tuple[int, int], noise: tuple[float, float]) -> Batch:
    little = bandit(arms=2)
    rows = tuple(
        Row((little.episode(0, arm, i),), {"score": arm * x})
        for i, (arm, x) in enumerate(zip(arms, noise, strict=True))
    )
    window = Window(0, rows, {"support": (np.ones(1), np.ones(1))})
    return method.batch(window, {}, np.random.default_rng(0))[0]


# Mutants


def _shrinking(batch: Batch, gone_R: Any) -> Batch:
    from accord.maths.batches import without

    left = without(batch, gone_R)
    lengths = left.lengths_S()
    counts = tuple(
        dict.fromkeys(c, float(lengths[s].sum())) for s, c in zip(left.steps, left.counts, strict=True)
    )
    return replace(left, counts=counts)


def _inverted(window: Window, batch: Batch, looked: Any) -> Floats:
    from accord.maths.reach import outside

    return 1 - outside(window, batch, looked)


MUTANTS: dict[str, tuple[str, Any]] = {
    "the nucleus the wrong way round": ("outside", _inverted),
    "the limit ignored": ("withheld", lambda outside, raised, limit: raised & (outside > 1)),
    "all withheld but what lies beyond": (
        "withheld",
        lambda outside, raised, limit: raised & (outside <= limit),
    ),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_misses_what_is_within_reach(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, instead = MUTANTS[mutant]
    monkeypatch.setattr(f"accord.methods.compatible.{name}", instead)
    little, method = arms(), Compatible(inner=BestOfN(n=2, threshold=1.0))
    wanted = conditioned(little, little.reward_PA * within(little, 0.1))
    assert distance(little, enumerated(method, little, rounds=20).tables, wanted) > 0.05


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("without", _shrinking),
        ("withheld", lambda outside, raised, limit: outside > limit),
    ],
    ids=["denominators that shrink", "what is pushed down withheld too"],
)
def test_a_mutant_has_another_gradient(
    name: str, instead: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test of a model's gradient, and it must fail."""
    monkeypatch.setattr(f"accord.methods.compatible.{name}", instead)
    with pytest.raises(AssertionError):
        test_the_gradient_of_a_model_is_that_with_withheld_rows_deleted_once_all_is_decided(
            GRPO(n=2, scale_std=False), 1.0, folder
        )


def test_a_push_down_of_the_raised_is_no_push_down(monkeypatch: pytest.MonkeyPatch) -> None:
    from accord.methods import compatible

    real = compatible.Push.of

    def turned(batch: Batch, kind: Any) -> Any:
        push = real(batch, kind)
        return push._replace(value_X=-push.value_X)

    monkeypatch.setattr(compatible.Push, "of", turned)
    with pytest.raises(AssertionError):
        test_a_part_of_the_push_down_is_that_part(0.25)
