"""The kit that proves optima: all windows, each with its probability; gradients; descents that go down only.

Mutants: multisets without their multinomial weights, pairs in one order only, labels never hard, groups of
one window that share a number, a gradient of scores or values that is lost, a descent that also climbs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from accord.errors import ContractError
from accord.maths.batches import likelihood_batch
from accord.methods.grpo import GRPO
from accord.methods.sft import SFT
from accord.part import Part
from accord.ports import Needs, Shape
from accord.records.rows import Batch
from accord.testing import (
    Data,
    Little,
    Schedule,
    bandit,
    distance,
    enumerated,
    expected_gradient,
    expected_pressure,
    optimum,
    sampled,
    strings,
)
from accord.testing.optimum import _Run


class Wants(Part):
    """Pulls scores to 1 and 2, values to 3; the log-probabilities stay as they are."""

    unit: str = "answer"
    columns: tuple[str, ...] = ()

    @property
    def rows(self) -> Shape:
        return Shape(self.unit, 1, "data")  # type: ignore[arg-type]

    @property
    def pushes_down(self) -> bool:
        return False

    def needs(self) -> Needs:
        return Needs(frozenset(self.columns), scores=2, critic=True)

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch = likelihood_batch(list(window.rows), 1, 99, rng, {})
        counts = tuple(
            {"scores": float(len(s)), "values": c["nll"]}
            for s, c in zip(batch.steps, batch.counts, strict=True)
        )
        return replace(batch, counts=counts, weights={"scores": 1.0, "values": 0.5}), memory

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        wanted = out.score_SK.new_tensor([1.0, 2.0])
        return {"scores": ((out.score_SK - wanted) ** 2).sum(), "values": ((out.value_T - 3) ** 2).sum()}


class Preferring(Part):
    """−p log σ(h) − (1−p) log σ(−h), h = log π(y) − log π(y′): Bradley–Terry of the policy itself."""

    @property
    def rows(self) -> Shape:
        return Shape("pair", 1, "data")

    @property
    def pushes_down(self) -> bool:
        return True

    def needs(self) -> Needs:
        return Needs()

    def batch(self, window: Any, memory: Any, rng: Any) -> Any:
        batch = likelihood_batch(list(window.rows), 1, 99, rng, {})
        p = np.array([row.columns["p"] for row in window.rows])
        counts = tuple({"pairs": float(len(step))} for step in batch.steps)
        return replace(batch, rows={"p": p}, counts=counts, weights={"pairs": 1.0}), memory

    def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
        import torch
        from torch.nn.functional import logsigmoid

        total = torch.zeros(len(batch.sequences), dtype=out.logp_T.dtype).index_add(
            0, out.sequence_T, out.logp_T
        )
        h, p = total[0::2] - total[1::2], torch.as_tensor(batch.rows["p"])
        return {"pairs": -(p * logsigmoid(h) + (1 - p) * logsigmoid(-h)).sum()}


@pytest.mark.parametrize(
    ("method", "little", "together", "data", "windows"),
    [
        (GRPO(n=2), strings(), 1, Data(), 120),
        (GRPO(n=3), bandit(), 1, Data(), 20),
        (GRPO(n=8), bandit(), 1, Data(), 165),
        (GRPO(n=2), bandit(prompts=2), 1, Data(), 100),
        (GRPO(n=2), bandit(arms=2), 2, Data(), 9),
        (SFT(), strings(), 1, Data(), 15),
    ],
)
def test_all_windows_are_listed_and_their_probabilities_sum_to_1(
    method: Any, little: Little, together: int, data: Data, windows: int
) -> None:
    run = _Run(method, little, data)
    cases = run.listed(together)
    share = run.shares(little.start())
    chance = [case.factor * np.prod([share[place] for place in case.drawn]) for case in cases]
    assert len(cases) == windows
    assert sum(chance) == pytest.approx(1)
    for case in cases[:: max(1, windows // 7)]:
        groups = Counter(row.group for row in case.rows)
        assert set(groups.values()) == {method.rows.n}
        assert len(groups) == together * little.prompts
        assert len({e.id for row in case.rows for e in row.episodes}) >= method.rows.n
        scores = [little.reward_PA[place] for place in case.places]
        assert [row.columns["score"] for row in case.rows] == scores


class Labelled(Wants):
    """Reads the column label of answers, and mismatched columns."""

    def needs(self) -> Needs:
        return Needs(frozenset({"ref_logp", "old_logp"}), scores=2, critic=True, mismatched=True)


def test_labels_are_listed_as_often_as_they_are_given() -> None:
    little = bandit(arms=3, prompts=2)
    label = np.array([[0.25, 0.5, 1.0], [0.75, 0.0, 0.5]])
    run = _Run(Labelled(), little, Data(label_PA=label))
    cases = run.listed(1)
    assert len(cases) == (3 * 2) ** 2
    share = little.shares(little.start())
    chance = [case.factor * np.prod([share[place] for place in case.drawn]) for case in cases]
    assert sum(chance) == pytest.approx(1)
    mean = np.zeros((2, 3))
    for case, p in zip(cases, chance, strict=True):
        for row, place in zip(case.rows, case.places, strict=True):
            mean[place] += p * row.columns["label"]
    assert mean == pytest.approx(label * share)
    rng = np.random.default_rng(0)
    seen = [run.drawn(0, 0, little.start(), rng).rows[0].columns["label"] for _ in range(40)]
    assert set(seen) == {0.0, 1.0}
    assert "label" not in _Run(SFT(), little, Data()).listed(1)[0].rows[0].columns


def test_mismatched_columns_are_of_the_other_prompt_s_answer() -> None:
    little = bandit(arms=3, prompts=2)
    run = _Run(Labelled(), little, Data())
    moved = optimum(little, 0.5)
    columns = run.columns(moved)
    logp = {"ref_logp": np.log(little.shares(little.start())), "old_logp": np.log(little.shares(moved))}
    for case in run.listed(1):
        window = run.window(0, case, columns, np.random.default_rng(0))
        (_, one), (_, two) = case.places
        for name, of in logp.items():
            assert [a.item() for a in window.measured[name]] == pytest.approx([of[0, one], of[1, two]])
            crossed = [a.item() for a in window.measured[f"mismatched_{name}"]]
            assert crossed == pytest.approx([of[0, two], of[1, one]])


def test_every_token_is_a_step_that_is_right_as_often_as_it_is_said_to_be() -> None:
    little = strings(bits=2)
    right = np.random.default_rng(0).uniform(size=little.reference_PCV.shape)
    run = _Run(Wants(unit="episode"), little, Data(right_PCV=right))
    cases = run.listed(1)
    assert len(cases) == sum(2 ** len(answer) for answer in little.answers) == 2 + 2 * 4 + 4 * 8
    share = little.shares(little.start())
    assert sum(case.factor * share[case.places[0]] for case in cases) == pytest.approx(1)
    mean: dict[tuple[int, int], float] = {}
    for case in cases:
        ((_, answer),), (episode,) = case.places, case.rows[0].episodes
        assert len(episode.tokens) == len(little.answers[answer])
        assert [s.tokens for s in episode.sequences()] == [little.episode(0, answer).sequences()[0].tokens]
        for step, reward in enumerate(episode.rewards):
            mean[answer, step] = mean.get((answer, step), 0.0) + case.factor * (reward or 0.0)
    for (answer, step), found in mean.items():
        at, token = little.places[answer]
        assert found == pytest.approx(right[0, at[step], token[step]])
    drawn = run.drawn(0, 0, little.start(), np.random.default_rng(0)).rows[0].episodes[0]
    assert set(drawn.rewards) <= {0.0, 1.0}
    with pytest.raises(ValueError, match="right_PCV"):
        _Run(Wants(unit="episode"), little, Data()).listed(1)


def test_pressure_is_the_derivative_by_the_log_probability_of_an_answer() -> None:
    """sft: the expected objective is −Σ q log π / Σ q|y|, so each answer's is −q over that."""
    for little in (bandit(prompts=2), strings()):
        share = np.random.default_rng(0).dirichlet(np.ones(len(little.answers)), size=little.prompts)
        lengths = np.array([len(answer) for answer in little.answers])
        found = expected_pressure(SFT(), little, little.start(), data=Data(shares_PA=share))
        assert found == pytest.approx(-share / (share * lengths).sum())


@pytest.mark.parametrize(("hard", "windows"), [(False, 12), (True, 24)])
def test_pairs_come_in_both_orders_with_the_labels_as_often_as_they_are_given(
    hard: bool, windows: int
) -> None:
    little = bandit()
    run = _Run(Preferring(), little, Data(hard=hard))
    cases = run.listed(1)
    assert len(cases) == windows
    share = little.shares(little.start())[0]
    chance = sum(case.factor * np.prod([share[a] for _, a in case.drawn]) for case in cases)
    assert chance == pytest.approx(1 - (share**2).sum()), "pairs of equal answers are not among them"
    mean: dict[tuple[int, int], float] = {}
    for case in cases:
        (_, one), (_, two) = case.places
        mean[one, two] = mean.get((one, two), 0.0) + case.factor * case.rows[0].columns["p"]
        assert case.rows[0].columns["weight"] == 1.0
    reward = little.reward_PA[0]
    wanted = {(i, j): 1 / (1 + np.exp(reward[j] - reward[i])) for i in range(4) for j in range(4) if i != j}
    assert mean == pytest.approx(wanted)


def test_the_gradient_by_hand() -> None:
    """sft on a bandit: the expected objective is −Σ q log π, so ∂/∂logits = π − q."""
    little = bandit()
    share = np.array([[0.1, 0.2, 0.3, 0.4]])
    found = expected_gradient(SFT(), little, little.start(), data=Data(shares_PA=share))
    assert found.logits_PCV[:, 0] == pytest.approx(little.shares(little.start()) - share)


@pytest.mark.parametrize("little", [bandit(prompts=2), strings()])
def test_the_gradient_is_that_of_the_expected_objective(little: Little) -> None:
    """Central differences of −Σ_y q(y) log π(y) / Σ_y q(y)|y|, by every logit that can be said."""
    share = np.random.default_rng(0).dirichlet(np.ones(len(little.answers)), size=little.prompts)
    lengths = np.array([len(answer) for answer in little.answers])

    def objective(logits: np.ndarray) -> float:
        logp = np.log(little.shares(little.start()._replace(logits_PCV=logits)))
        return -float((share * logp).sum() / (share * lengths).sum())

    found = expected_gradient(SFT(), little, little.start(), data=Data(shares_PA=share)).logits_PCV
    start = little.reference_PCV
    for place in zip(*np.nonzero(np.isfinite(start)), strict=True):
        up, down = start.copy(), start.copy()
        up[place] += 1e-5
        down[place] -= 1e-5
        assert found[place] == pytest.approx((objective(up) - objective(down)) / 2e-5, abs=1e-8)


def test_scores_and_values_are_trained_too() -> None:
    little = strings()
    found = enumerated(Wants(), little)
    assert found.tables.scores_PAK[0] == pytest.approx(np.tile([1.0, 2.0], (15, 1)), abs=1e-5)
    assert found.tables.values_PC == pytest.approx(np.full((1, 15), 3.0), abs=1e-5)
    assert distance(little, found.tables, little.start()) == 0.0
    by_hand = expected_gradient(Wants(), little, little.start(heads=2))
    share = little.shares(little.start())[0]
    assert by_hand.scores_PAK[0, :, 1] == pytest.approx(-4 * share)
    lengths = np.array([len(answer) for answer in little.answers])
    assert by_hand.values_PC[0, 0] == pytest.approx(0.5 * -6 / (share * lengths).sum())


@pytest.mark.parametrize("hard", [False, True])
def test_pairs_teach_what_their_labels_say(hard: bool) -> None:
    """The policy whose own Bradley–Terry odds are those of the labels: π ∝ exp(r)."""
    little = strings()
    share = np.exp(little.reward_PA)
    wanted = little.tables(share / share.sum())
    found = enumerated(Preferring(), little, data=Data(hard=hard))
    assert distance(little, found.tables, wanted) < 1e-6
    assert found.gradient.largest < 1e-8
    assert found.rounds < 200


def test_drawn_pairs_and_answers_are_those_of_the_data() -> None:
    little = bandit()
    share = np.array([[0.5, 0.5, 0.0, 0.0]])
    rng = np.random.default_rng(0)
    pairs = _Run(Preferring(), little, Data(share, hard=True))
    seen = Counter(pairs.drawn(0, 0, little.start(), rng).places for _ in range(60))
    assert set(seen) == {((0, 0), (0, 1)), ((0, 1), (0, 0))}
    answers = _Run(SFT(), little, Data(share))
    assert {answers.drawn(0, 0, little.start(), rng).places[0][1] for _ in range(60)} == {0, 1}


def test_the_descent_does_not_climb() -> None:
    """With the sign turned, the same zero of the gradient is a place to leave."""

    class Upside(SFT):
        def loss(self, out: Any, batch: Batch) -> Mapping[str, Any]:
            return {"nll": -super().loss(out, batch)["nll"]}

    little = bandit()
    share = Data(shares_PA=np.array([[0.25, 0.25, 0.25, 0.25]]))
    assert (
        distance(little, enumerated(SFT(), little, data=share).tables, little.tables(share.shares_PA)) < 1e-6
    )
    assert (
        distance(
            little, enumerated(Upside(), little, data=share, rounds=30).tables, little.tables(share.shares_PA)
        )
        > 0.5
    )


def test_equal_seeds_draw_equal_windows() -> None:
    little, method = bandit(), GRPO(n=2, beta=0.5)
    one, two, other = (sampled(method, little, seed, Schedule(windows=5)) for seed in (3, 3, 4))
    assert np.array_equal(one.logits_PCV, two.logits_PCV)
    assert not np.array_equal(one.logits_PCV, other.logits_PCV)


def test_what_the_kit_cannot_do_it_says() -> None:
    with pytest.raises(ValueError, match="windows are too many to list"):
        expected_gradient(GRPO(n=8), strings(), strings().start())
    with pytest.raises(ContractError, match="a little world can measure"):
        expected_gradient(Wants(columns=("support",)), bandit(), bandit().start())
    with pytest.raises(ContractError, match="some window teaches something"):
        equal = replace(bandit(), reward_PA=np.zeros((1, 4)))
        expected_gradient(GRPO(n=2, beta=0.0), equal, equal.start())


def test_the_example_at_the_top_of_the_file() -> None:
    method, little = GRPO(n=2, beta=0.5, scale_std=False), bandit()
    assert distance(little, enumerated(method, little).tables, optimum(little, 0.5)) < 1e-3
    assert expected_gradient(method, little, optimum(little, 0.5)).largest < 1e-8
