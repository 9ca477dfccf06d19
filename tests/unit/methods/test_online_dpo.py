"""online_dpo: pairs from scores by hand, and what was measured of each answer goes where the answer goes.

Mutants: best and worst turned round, a tie that makes a pair, a missing score as 0, the second-best for the
best, measured columns in the window's order, a turn given to the other answer, p of the wrong difference,
soft labels over labels that say p themselves, parents that are lost.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import ValidationError

from accord.errors import ContractError, PlanError
from accord.maths.pairs import answer_S
from accord.methods.online_dpo import OnlineDPO, paired
from accord.ports import Shape
from accord.records import Episode
from accord.records.rows import Batch, Floats, Row, Window
from accord.testing import check_method, evaluate

LN3 = math.log(3)
WIN, LOSS = math.log(4 / 3), math.log(4)  # ℓ where σ = ¾, and its opposite


def said(*turns: tuple[int, ...]) -> Episode:
    """One turn for each tuple of tokens; no prompt extends what stands before, so each is a sequence."""
    return Episode(
        prompt="q",
        responses=tuple(f"{turns}{k}" for k in range(len(turns))),
        prompt_tokens=tuple((1 + k,) for k in range(len(turns))),
        tokens=turns,
    )


def answer(score: float | None, *turns: tuple[int, ...], group: int = 0) -> Row:
    value = math.nan if score is None else score
    return Row((said(*turns),), {"score": value}, score is None, group, (f"judged {turns}",))


def window(*rows: Row) -> Window:
    """Sequence s was measured as −(10·s + place)."""
    lengths = [sum(s.answer) for row in rows for e in row.episodes for s in e.sequences()]
    measured = tuple(-(10.0 * s + np.arange(n)) for s, n in enumerate(lengths))
    return Window(0, rows, {"ref_logp": measured})


def taught(method: OnlineDPO, *rows: Row) -> Batch:
    batch, memory = method.batch(window(*rows), {"kept": 1}, np.random.default_rng(0))
    assert memory == {"kept": 1}
    return batch


def totals(method: OnlineDPO, batch: Batch, logp_T: Floats) -> dict[str, float]:
    return evaluate(method.loss, batch, logp_T, dict.fromkeys(batch.weights, 1.0), "torch").totals


# Two groups; in the first the worst stands before the best, which has two turns.
TALK = (
    answer(1.0, (5, 6)),
    answer(0.0, (7,)),
    answer(2.5, (8,), (9, 9)),
    answer(None, (4,)),
    answer(3.0, (5,), group=1),
    answer(3.0, (6,), group=1),
    answer(-1.0, (7, 7), group=2),
    answer(1.0, (3, 3, 3), group=2),
)


def test_the_best_is_paired_with_the_worst_of_its_group() -> None:
    score = np.array([1.0, 0.0, 2.5, math.nan, 3.0, 3.0, -1.0, 1.0])
    group = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    assert paired(score, group).tolist() == [[2, 1], [7, 6]]
    assert paired(np.array([2.0, 5.0, 2.0, 5.0]), np.zeros(4, int)).tolist() == [[1, 0]], "the first of each"
    assert paired(np.array([1.0, 2.0, 4.0, 0.0]), np.array([9, 4, 9, 4])).tolist() == [[1, 3], [2, 0]]
    assert paired(np.array([math.nan, 1.0]), np.zeros(2, int)).shape == (0, 2)
    assert paired(np.zeros(0), np.zeros(0, int)).shape == (0, 2)


def test_what_was_measured_goes_with_its_answer() -> None:
    batch = taught(OnlineDPO(n=4), *TALK)
    assert [s.tokens[1:] for s in batch.sequences] == [(8,), (9, 9), (7,), (3, 3, 3), (7, 7)]
    assert answer_S(batch).tolist() == [0, 0, 1, 2, 3]
    assert batch.tokens["ref_logp"].tolist() == [-20, -30, -31, -10, -80, -81, -82, -70, -71]
    assert batch.rows["p"].tolist() == batch.rows["weight"].tolist() == [1.0, 1.0]


def test_a_window_says_what_made_no_pair() -> None:
    told = taught(OnlineDPO(n=4), *TALK, answer(None, (2,), group=3), answer(1.0, (2,), group=3)).scalars
    wanted = {"rows": 10, "missing": 2, "groups": 4, "groups_dropped": 1, "groups_equal": 1, "pairs": 2}
    assert {name: told[name] for name in wanted} == wanted
    assert told["gap"] == pytest.approx((2.5 + 2.0) / 2)
    assert told["score"] == pytest.approx(10.5 / 8)
    assert (told["identical"], told["empty"], told["tied"]) == (0, 0, 0)


def test_equal_texts_that_were_scored_apart_teach_nothing() -> None:
    batch = taught(OnlineDPO(), answer(1.0, (5,)), answer(0.0, (5,)))
    assert (batch.steps, batch.scalars["identical"], batch.scalars["pairs"]) == ((), 1, 1)


def test_a_window_without_different_scores_has_no_steps() -> None:
    for rows in ((), (answer(1.0, (5,)), answer(1.0, (6,))), (answer(None, (5,)), answer(None, (6,)))):
        batch = taught(OnlineDPO(), *rows)
        assert (batch.steps, batch.counts, batch.sequences) == ((), (), ())


def test_sure_and_soft_labels_by_hand() -> None:
    """βh = ½·2 ln 3, so σ = ¾; scores ln 3 apart are worth p = ¾."""
    rows = (answer(0.0, (7,)), answer(LN3, (5, 6)))
    for soft, loss in ((False, WIN), (True, 0.75 * WIN + 0.25 * LOSS)):
        method = OnlineDPO(beta=0.5, soft=soft)
        batch = taught(method, *rows)
        assert batch.rows["p"] == pytest.approx([0.75 if soft else 1.0])
        gained = batch.tokens["ref_logp"] + [LN3 - 1, 1, -LN3]
        assert totals(method, batch, gained)["dpo"] == pytest.approx(loss)
        p, told = float(batch.rows["p"][0]), totals(method, batch, gained)
        assert told["chosen"] == pytest.approx(0.5 * (2 * p - 1) * LN3) == -told["rejected"], "β·s"
        assert (told["accuracy"], told["both_fell"]) == (pytest.approx(p), 0)
        scale = {**dict.fromkeys(batch.weights, 0.0), "dpo": 1.0}
        slope = evaluate(method.loss, batch, gained, scale, "torch").pressure_T
        # ∂/∂s = ±β(σ(βh) − p): at rest where the label says what the policy does.
        assert slope == pytest.approx(np.array([1, 1, -1]) * 0.5 * (0.75 - p), abs=1e-12)


def test_compared_pairs_are_taken_as_they_are() -> None:
    pair = Row((said((5, 6)), said((7,))), {"p": 0.25, "weight": 2.0})
    gone = Row((said((5,)), said((6,))), {"p": math.nan, "weight": 0.0}, True)
    method = OnlineDPO(beta=0.5)
    batch = taught(method, gone, pair)
    assert batch.tokens["ref_logp"].tolist() == [-20, -21, -30]
    assert batch.scalars == {"rows": 2, "missing": 1, "identical": 0, "empty": 0, "tied": 0}
    gained = batch.tokens["ref_logp"] + [LN3, 0, -LN3]
    assert totals(method, batch, gained)["dpo"] == pytest.approx(2 * (0.25 * WIN + 0.75 * LOSS))
    assert batch.counts == (dict.fromkeys(batch.weights, 1.0),)


def test_rows_of_a_pair_keep_who_judged_them_and_their_group() -> None:
    pairs, _ = OnlineDPO(n=4)._of_scores(window(*TALK))
    assert [row.parents for row in pairs.rows] == [
        ("judged ((8,), (9, 9))", "judged ((7,),)"),
        ("judged ((3, 3, 3),)", "judged ((7, 7),)"),
    ]
    assert [row.group for row in pairs.rows] == [0, 2]


def test_soft_needs_scores_and_says_so() -> None:
    pair = Row((said((5,)), said((6,))), {"p": 1.0})
    with pytest.raises(PlanError, match="scores single answers"):
        taught(OnlineDPO(soft=True), pair)
    with pytest.raises(PlanError, match='an ask whose column is "score"'):
        taught(OnlineDPO(), Row((said((5,)),), {"cost:x": 1.0}))
    with pytest.raises(ContractError, match="pairs of answers"):
        taught(OnlineDPO(), pair, answer(1.0, (5,)))


@pytest.mark.parametrize("told", [{"n": 3}, {"n": 0}, {"beta": 0.0}, {"epochs": 0}], ids=str)
def test_settings_that_mean_nothing_are_refused(told: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        OnlineDPO.model_validate(told)


class Scored(OnlineDPO):
    @property
    def rows(self) -> Shape:
        return Shape("answer", self.n, "policy")


def test_it_keeps_the_promises_of_a_method_on_scores_too() -> None:
    check_method(OnlineDPO(n=4), columns=("p", "weight"))
    check_method(Scored(n=4))
    check_method(Scored(soft=True, beta=0.5, epochs=2, rows_per_step=1))


def test_what_it_says_of_itself() -> None:
    method = OnlineDPO(n=6)
    assert (method.rows.unit, method.rows.n, method.rows.by) == ("pair", 6, "policy")
    assert (method.pushes_down, method.needs().columns) == (True, {"ref_logp"})
