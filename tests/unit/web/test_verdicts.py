"""Forms into judgments. Each refusal names its field; each test a mutant it kills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web.seeded import asked, one_of_each

from accord.errors import PlanError
from accord.records import (
    By,
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Question,
    Ranked,
    Record,
    Response,
    Revised,
)
from accord.web.sitting import Sitting, order_for, rendering_of, task_of
from accord.web.verdicts import SKIPS, abstention_of, fields_of, judgment_of, levels_of, moved, scores_of

EVERY = one_of_each()
SHOWN = {"shown_at": "100"}


def sat(question: Question, records: Sequence[Record], *, turned: bool = False) -> Sitting:
    order = tuple(reversed(question.responses)) if turned else question.responses
    return Sitting(
        by=By(type="person", name="r-0", config="c"),
        order=order,
        rendering=rendering_of(question, order, records, "plain"),
        texts={r.id: r.text for r in records if isinstance(r, Response)},
        now=160.0,
        salt="5a17",
        consent="v1",
    )


def said(name: str, form: Mapping[str, str | list[str]], *, turned: bool = False) -> Judgment:
    return said_of(*EVERY[name], form, turned=turned)


def said_of(
    question: Question,
    records: Sequence[Record],
    form: Mapping[str, str | list[str]],
    *,
    turned: bool = False,
) -> Judgment:
    fields = {k: v if isinstance(v, list) else [v] for k, v in {**SHOWN, **form}.items()}
    return judgment_of(question, fields, sat(question, records, turned=turned))


def refused(name: str, form: Mapping[str, str | list[str]]) -> str:
    with pytest.raises(PlanError) as error:
        said(name, form)
    return error.value.path


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("choice", "place"), [("A", 0), ("B", 1)])
def test_a_pair_is_read_in_the_order_it_was_shown(choice: str, place: int, turned: bool) -> None:
    """Kills: letters read in the question's order; strength that points to A in place of the first."""
    question, _ = EVERY["pair"]
    judgment = said("pair", {"choice": choice, "strength": "2"}, turned=turned)
    better = judgment.shown[place]
    towards = 1 if better == question.responses[0] else -1
    assert judgment.verdict == Ranked(tiers=((better,), (judgment.shown[1 - place],)), strength=2 * towards)
    assert judgment.problem_with(question) is None


def test_both_bad_is_no_tie() -> None:
    tie, bad = said("pair", {"choice": "tie"}).verdict, said("pair", {"choice": "bad"}).verdict
    assert isinstance(tie, Ranked)
    assert isinstance(bad, Ranked)
    assert (tie.strength, tie.acceptable) == (0, None)
    assert (bad.strength, bad.acceptable) == (None, ())
    assert len(tie.tiers) == len(bad.tiers) == 1


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "choice"),
        ({"choice": "C"}, "choice"),
        ({"choice": ["A", "B"]}, "choice"),
        ({"choice": "A", "strength": "4"}, "strength"),
        ({"choice": "A", "strength": "0"}, "strength"),
        ({"choice": "A", "strength": "2.5"}, "strength"),
        ({"choice": "tie", "strength": "2"}, "strength"),
        ({"choice": "A", "confidence": "101"}, "confidence"),
        ({"choice": "A", "confidence": "nan"}, "confidence"),
        ({"choice": "A", "rationale": "x" * 200_001}, "rationale"),
        ({"choice": "A", "shown_at": ""}, "shown_at"),
        ({"choice": "A", "shown_at": "161"}, "shown_at"),
        ({"choice": "A", "active": "-1"}, "active"),
        ({"choice": "A", "first_after": "soon"}, "first_after"),
    ],
)
def test_a_pair_that_does_not_fit_names_its_field(form: dict[str, str | list[str]], field: str) -> None:
    assert refused("pair", form) == field


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"choice": "tie"}, "choice"),
        ({"choice": "bad"}, "choice"),
        ({"choice": "A", "strength": "1"}, "strength"),
    ],
)
def test_what_the_instrument_does_not_allow_is_refused(form: dict[str, str], field: str) -> None:
    question, records = asked(Kind.COMPARE, ("x", "y"), instrument=Instrument(allows=()))
    with pytest.raises(PlanError) as error:
        said_of(question, records, form)
    assert error.value.path == field


def test_a_ranking_keeps_its_places_and_who_is_good_enough() -> None:
    question, _ = EVERY["ranking"]
    a, b, c = question.responses
    verdict = said("ranking", {"order": "C>A=B", "good": ["C", "A"]}).verdict
    assert verdict == Ranked(tiers=((c,), (a, b)), acceptable=(a, c))
    assert said("ranking", {"order": "A>B>C"}).verdict == Ranked(tiers=((a,), (b,), (c,)))
    assert said("ranking", {"order": "A>B>C", "good": "none"}).verdict == Ranked(
        tiers=((a,), (b,), (c,)), acceptable=()
    )


@pytest.mark.parametrize("order", ["", "A>B", "A>B>C>D", "A>B>B", "A>>B>C", "A=B>C=", "a>b>c"])
def test_an_order_that_is_none_is_refused(order: str) -> None:
    assert refused("ranking", {"order": order}) == "order"


@pytest.mark.parametrize("good", [["D"], ["none", "A"], [""], ["A", "x"]])
def test_a_wrong_tick_is_refused(good: list[str]) -> None:
    if good == [""]:
        assert isinstance(said("ranking", {"order": "A>B>C", "good": good}).verdict, Ranked)
    else:
        assert refused("ranking", {"order": "A>B>C", "good": good}) == "good"


@given(
    st.lists(st.tuples(st.sampled_from(["up", "down", "same", "off"]), st.sampled_from("ABCX")), max_size=12)
)
def test_no_press_of_a_button_loses_an_answer(presses: list[tuple[str, str]]) -> None:
    order = "A>B>C"
    for what, letter in presses:
        order = moved(order, f"{what}:{letter}")
    assert sorted(order.replace(">", "=").split("=")) == ["A", "B", "C"]


def test_grades_are_named_by_dimension() -> None:
    assert said("grade", {"score-0": "7", "score-1": "1"}).verdict == Graded(
        scores={"helpful": 7, "careful": 1}
    )
    assert refused("grade", {"score-0": "7"}) == "score-1"
    assert refused("grade", {"score-0": "8", "score-1": "1"}) == "score-0"
    assert refused("grade", {"score-0": "2.5", "score-1": "1"}) == "score-0"


def test_a_grade_without_a_scale_has_that_of_a_model() -> None:
    question, records = asked(Kind.GRADE, ("x",))
    assert levels_of(question)[:2] == (1.0, 10.0)
    assert said_of(question, records, {"score-0": "10"}).verdict == Graded(scores={"score": 10})


def test_a_wide_scale_is_typed() -> None:
    question, records = asked(Kind.GRADE, ("x",), instrument=Instrument(scale=(0, 100)))
    assert levels_of(question)[2] == ()
    assert said_of(question, records, {"score-0": "12.5"}).verdict == Graded(scores={"score": 12.5})


def test_several_answers_are_graded_by_their_ids() -> None:
    """Kills: scores by letter, which another order would exchange."""
    question, records = asked(Kind.GRADE, ("x", "y"))
    verdict = said_of(question, records, {"score-0": "3", "score-1": "9"}, turned=True).verdict
    assert verdict == Graded(scores={question.responses[1]: 3, question.responses[0]: 9})
    assert [s.title for s in scores_of(question, question.responses)] == ["Answer A", "Answer B"]


def test_labels_come_from_the_instrument() -> None:
    assert said("label", {"option-0": "2"}).verdict == Labelled(tags=("rude",))
    for place in ("", "3", "-1", "rude", "²"):
        assert refused("label", {"option-0": place}) == "option-0"
    instrument = Instrument(options=("low", "high"), dimensions=("risk", "cost"))
    question, records = asked(Kind.LABEL, ("x",), instrument=instrument)
    verdict = said_of(question, records, {"option-0": "1", "option-1": "0"}).verdict
    assert verdict == Labelled(tags=("risk: high", "cost: low"))
    question, records = asked(Kind.LABEL, ("x",))
    with pytest.raises(PlanError) as error:
        said_of(question, records, {"option-0": "0"})
    assert error.value.path == "instrument.options"


def point(i: int, **fields: str) -> dict[str, str]:
    return {f"point-{i}-{name}": value for name, value in fields.items()}


def test_a_critique_keeps_its_points_and_their_places() -> None:
    question, _ = EVERY["critique"]
    form = {
        **point(0, text="", severity="", where="", tag=""),
        **point(1, text="No.\r\nWrong.", severity="4", where="A:0-3", tag="false"),
        **point(12, text="Too long", severity="1", where=""),
    }
    verdict = said("critique", form).verdict
    assert isinstance(verdict, Critiqued)
    first, second = verdict.points
    assert first.mark is not None
    assert (first.mark.response, first.mark.start, first.mark.end) == (question.responses[0], 0, 3)
    assert (first.mark.tag, first.severity, first.text) == ("false", 4, "No.\nWrong.")
    assert (second.mark, second.severity) == (None, 1)
    assert said("critique", {"none": "1"}).verdict == Critiqued(points=())


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({}, "point-0-text"),
        (point(3, severity="2"), "point-3-text"),
        (point(0, text="x"), "point-0-severity"),
        (point(0, text="x", severity="5"), "point-0-severity"),
        (point(0, text="x", severity="1.5"), "point-0-severity"),
        (point(0, text="x", severity="1", where="B:0-1"), "point-0-where"),
        (point(0, text="x", severity="1", where="A:3-3"), "point-0-where"),
        (point(0, text="x", severity="1", where="0-3"), "point-0-where"),
        (point(0, text="x", severity="1", where="A:0-999999"), "verdict.points[0].mark.end"),
        (point(0, severity="1", tag="false"), "point-0-where"),
        (point(0, text="x", severity="1", tag="unheard"), "point-0-tag"),
        ({**point(0, text="x", severity="1"), "none": "1"}, "none"),
    ],
)
def test_a_critique_that_does_not_fit_names_its_field(form: dict[str, str], field: str) -> None:
    assert refused("critique", form) == field


def test_a_text_is_kept_as_it_was_written() -> None:
    """Kills: stripping, and the ends of lines that a browser makes up."""
    assert said("correct", {"text": "  a\r\n\r\nb\u200b\n"}).verdict == Revised(text="  a\n\nb\u200b\n")
    assert said("demonstrate", {"text": "b"}).verdict == Revised(text="b")
    assert refused("correct", {"text": " \r\n"}) == "text"


def test_a_skip_is_an_abstention_with_a_reason_of_the_list() -> None:
    question, records = EVERY["pair"]
    sitting = sat(question, records)
    for reason in SKIPS:
        judgment = abstention_of(question, {"shown_at": ["1"], "reason": [reason]}, sitting)
        assert (judgment.abstention, judgment.verdict) == (reason, None)
    for wrong in ([], ["timeout"], ["unclear", "other"]):
        with pytest.raises(PlanError, match="reason"):
            abstention_of(question, {"shown_at": ["1"], "reason": wrong}, sitting)


def test_what_surrounds_a_verdict_is_kept_with_it() -> None:
    form = {"choice": "A", "confidence": "70", "rationale": "a\r\nb", "first_after": "2", "active": "40"}
    judgment = said("pair", form)
    times = judgment.times
    assert times is not None
    assert (times.shown, times.first_input, times.submitted, times.active) == (100.0, 102.0, 160.0, 40.0)
    assert (judgment.confidence, judgment.rationale) == (0.7, "a\nb")
    assert (judgment.consent, judgment.salt, judgment.by.name) == ("v1", "5a17", "r-0")
    assert judgment.parents == (judgment.question,)
    assert judgment.rendering is not None
    assert judgment.rendering.hidden == ("models", "votes", "arm")
    assert said("pair", {"choice": "A"}).confidence is None


def test_a_page_cannot_have_counted_more_time_than_passed() -> None:
    times = said("pair", {"choice": "A", "first_after": "900", "active": "1e9"}).times
    assert times is not None
    assert (times.first_input, times.active) == (160.0, 60.0)


def test_the_order_is_a_coin_of_rater_and_question() -> None:
    """Kills: an order by rater alone, by question alone, or by the answers' ids."""
    question, _ = EVERY["pair"]
    raters = [f"r-{i}" for i in range(400)]
    first = [order_for(rater, question)[0] == question.responses[0] for rater in raters]
    assert 150 < sum(first) < 250
    assert [order_for(r, question) for r in raters] == [order_for(r, question) for r in raters]
    others = [asked(Kind.COMPARE, (f"x{i}", f"y{i}"))[0] for i in range(400)]
    assert 150 < sum(order_for("r-1", q)[0] == q.responses[0] for q in others) < 250
    three, _ = EVERY["ranking"]
    assert len({order_for(r, three) for r in raters}) == 6


def test_a_repeat_turns_the_order_round_and_hindsight_does_not() -> None:
    question, _ = EVERY["pair"]
    earlier = said("pair", {"choice": "A"})
    again = question.model_copy(update={"revisits": earlier.id})
    assert order_for("r-0", again, earlier) == tuple(reversed(earlier.shown))
    later = again.model_copy(update={"evidence": (question.prompt,)})
    assert order_for("r-0", later, earlier) == order_for("r-0", later)
    assert order_for("r-0", again, None) == order_for("r-0", again)


def test_the_rendering_tells_one_page_from_another() -> None:
    question, records = EVERY["pair"]
    order = question.responses
    here = rendering_of(question, order, records, "plain")
    assert here == rendering_of(question, order, list(reversed(records)), "plain")
    assert here.digest != rendering_of(question, tuple(reversed(order)), records, "plain").digest
    assert here.digest != rendering_of(question, order, records, "marked").digest
    assert (
        rendering_of(question.model_copy(update={"revisits": "j"}), order, records, "plain").hidden[-1]
        == "first verdict"
    )
    with pytest.raises(PlanError, match="layout"):
        rendering_of(question, order, records, "html")


def test_every_task_has_its_name() -> None:
    assert [task_of(question) for question, _ in EVERY.values()] == list(EVERY)


@given(
    st.dictionaries(
        st.sampled_from(["choice", "order", "score-0", "text", "point-0-where", "good", "none"]),
        st.lists(st.text(max_size=9), max_size=3),
    )
)
def test_any_form_gives_a_judgment_that_answers_or_a_named_field(form: dict[str, list[str]]) -> None:
    for question, records in EVERY.values():
        try:
            judgment = judgment_of(question, {**form, "shown_at": ["1"]}, sat(question, records))
        except PlanError as error:
            assert error.path
        else:
            assert judgment.problem_with(question) is None


def test_fields_keep_every_value_in_its_order() -> None:
    assert fields_of([("a", "1"), ("b", ""), ("a", "2")]) == {"a": ["1", "2"], "b": [""]}
