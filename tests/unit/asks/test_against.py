"""Against: each answer meets the base answer of its prompt; the score is the log-odds that it wins."""

from __future__ import annotations

import math

import pytest

from accord.asks.against import Against
from accord.errors import PlanError
from accord.records import By, Judgment, Prompt, Question, Ranked
from accord.records.rows import Group
from accord.testing import a_group, a_response

PROMPT = Prompt.of("Why?", reference="because", other=3)
GROUP = Group(PROMPT, (a_response(PROMPT, "yes", 0), a_response(PROMPT, "no", 1)))
MEAN = Against(column="score", collapse="distribution")
MOST = Against(column="score", collapse="majority")


def voted(question: Question, text: str) -> list[Judgment]:
    """1 the answer, 2 the base answer, = a tie, 0 both bad."""
    own, base = question.responses
    made = {
        "1": Ranked(tiers=((own,), (base,))),
        "2": Ranked(tiers=((base,), (own,))),
        "=": Ranked(tiers=((base, own),)),
        "0": Ranked(tiers=((base, own),), acceptable=()),
    }
    by = [By(type="person", name=f"r{k}", config=f"r{k}") for k in range(len(text))]
    return [Judgment(question=question.id, by=b, verdict=made[v]) for b, v in zip(by, text, strict=True)]


def test_the_base_answer_is_the_field_of_the_row_and_is_quoted_once() -> None:
    (base,) = MEAN.quoted([GROUP, GROUP])
    assert (base.text, base.policy, base.parents) == ("because", "data", (PROMPT.id,))
    asked = MEAN.questions([GROUP])
    assert [q.responses for q in asked] == [(r.id, base.id) for r in GROUP.responses]
    assert asked[0].parents == (PROMPT.id, GROUP.responses[0].id, base.id)


@pytest.mark.parametrize(
    ("votes", "score", "most"),
    [
        ("1", 4.0, 4.0),
        ("2", -4.0, -4.0),
        ("1112", math.log(3), 4.0),
        ("1=22", math.log(0.375 / 0.625), -4.0),
        ("=12", 0.0, 0.0),
        ("0=1", math.log(3), 4.0),
    ],
)
def test_the_score_is_the_log_odds_clipped(votes: str, score: float, most: float) -> None:
    """Mutants: p itself, the odds without a log, ∞ where all agree, the sign towards the base answer."""
    first, _ = MEAN.questions([GROUP])
    for ask, wanted in ((MEAN, score), (MOST, most)):
        table = ask.columns([GROUP], voted(first, votes))
        assert table.values["score"][0] == pytest.approx(wanted)
        assert table.members == tuple((r.id,) for r in GROUP.responses)
        assert table.missing.tolist() == [False, True]
        assert len(table.parents[0]) == len(votes) - votes.count("0")


def test_what_everybody_found_bad_is_missing() -> None:
    first, _ = MEAN.questions([GROUP])
    assert MEAN.columns([GROUP], voted(first, "00")).missing.all()


def test_groups_of_raters_may_differ() -> None:
    ask = Against(column="score", collapse="per_group").grouped({"r0": "a", "r1": "b", "r2": "b"})
    first, _ = ask.questions([GROUP])
    table = ask.columns([GROUP], voted(first, "122"))
    assert table.values["score"][[0, 2]].tolist() == [4.0, -4.0]
    assert table.values["group"].tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(("base", "has"), [("other", "other, reference"), ("chosen", "other, reference")])
def test_a_prompt_without_a_base_answer_is_told_before_anyone_is_asked(base: str, has: str) -> None:
    ask = Against(column="score", collapse="distribution", base=base)
    with pytest.raises(PlanError, match=has) as caught:
        ask.questions([GROUP])
    assert (caught.value.path, caught.value.value) == ("ask.base", base)
    with pytest.raises(PlanError, match="no field beside the prompt"):
        MEAN.questions([a_group()])
