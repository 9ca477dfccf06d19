"""Judge: a model's probabilities, or what it says, as verdicts; and every way in which it gives none.

Mutants: options scored without their end, probabilities not normalised, letters of answers swapped, a second
repair or none, a failure turned into a tie, ties dropped from a share, an unreadable sample dropped from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from unit.overseers.judged import (
    COMPARE,
    GRADE,
    GROUPS,
    LABEL,
    MAYBE,
    NO,
    RUBRIC,
    SORRY,
    THREE,
    YES,
    Failure,
    Reader,
    Speaker,
    abstained,
    ask,
    saying,
    saying_prompt,
    seated,
)

from accord.errors import ContractError, Refused
from accord.ports import Scored
from accord.records import (
    Graded,
    Instrument,
    Judgment,
    Kind,
    Labelled,
    Message,
    Prompt,
    Question,
    Ranked,
    Spread,
)
from accord.records.rows import Text


def grade(judgment: Judgment) -> float:
    assert isinstance(judgment.verdict, Graded)
    return judgment.verdict.scores["score"]


# Probabilities


def test_a_comparison_is_the_probabilities_of_the_letters_among_themselves() -> None:
    reader = Reader(lambda prompt, option: {"A": 0.06, "B": 0.02}[option])
    (found,) = ask(seated(reader), COMPARE[0])
    assert isinstance(found.verdict, Spread)
    assert found.verdict.p == {YES.id: pytest.approx(0.75), NO.id: pytest.approx(0.25)}
    assert found.shown == COMPARE[0].responses
    assert (found.by.type, found.by.name) == ("model", "m")
    assert "0.08" in found.note
    assert (found.cost.calls, found.cost.tokens_in) == (2, 2 * (3 + 2))


def test_several_answers_are_told_apart_by_letters() -> None:
    reader = Reader(lambda prompt, option: {"A": 0.1, "B": 0.2, "C": 0.7}[option])
    (found,) = ask(seated(reader), THREE)
    assert isinstance(found.verdict, Spread)
    assert list(found.verdict.p.values()) == [pytest.approx(x) for x in (0.1, 0.2, 0.7)]


def test_the_same_answer_twice_has_the_sum_of_both() -> None:
    twice = Question(asks=Kind.COMPARE, prompt=GROUPS[0].prompt.id, responses=(YES.id, YES.id))
    (found,) = ask(seated(Reader(lambda prompt, option: 0.25)), twice)
    assert found.verdict == Spread(p={YES.id: 1.0})


def test_a_grade_is_the_mean_of_the_scale() -> None:
    reader = Reader(lambda prompt, option: {"1": 0.1, "2": 0.1, "3": 0.2}[option])
    (found,) = ask(seated(reader, scale=(1, 3)), GRADE[0])
    assert grade(found) == pytest.approx(2.25)
    both = Question(asks=Kind.GRADE, prompt=GROUPS[0].prompt.id, responses=(YES.id, NO.id))
    lean = Reader(lambda prompt, option: 0.3 if (option == "3") == ("\nyes\n" in prompt) else 1e-9)
    (found,) = ask(seated(lean, scale=(1, 3)), both)
    assert isinstance(found.verdict, Graded)
    assert found.verdict.scores == {YES.id: pytest.approx(3), NO.id: pytest.approx(1.5)}


def test_the_instruments_scale_wording_and_principles_go_before_the_judges_own() -> None:
    told = Instrument(scale=(0, 1), wording="Is it true?", principles=("Be exact.", "Be kind."))
    reader = Reader(lambda prompt, option: {"0": 0.3, "1": 0.1}[option])
    (found,) = ask(seated(reader), GRADE[0].model_copy(update={"instrument": told}))
    assert grade(found) == pytest.approx(0.25)
    prompt = reader.calls[0][0][0]
    assert prompt.index(RUBRIC) < prompt.index("- Be exact.\n\n- Be kind.") < prompt.index("Is it true?")
    assert prompt.endswith("Reply with 0 or 1 and nothing else.")


def test_a_label_is_the_probabilities_of_the_tags() -> None:
    reader = Reader(lambda prompt, option: {"A": 0.1, "B": 0.3}[option])
    (found,) = ask(seated(reader), LABEL[0])
    assert isinstance(found.verdict, Spread)
    assert found.verdict.p == {"first": pytest.approx(0.25), "second": pytest.approx(0.75)}
    assert "A: first\nB: second" in reader.calls[0][0][0]


def test_options_it_would_never_say_are_no_verdict() -> None:
    (found,) = ask(seated(Reader(lambda prompt, option: 1e-8)), COMPARE[0])
    assert abstained(found) == "unparsable"
    (found,) = ask(seated(Reader(lambda prompt, option: 1e-5)), COMPARE[0])
    assert found.verdict is not None


def test_all_pending_questions_are_one_call() -> None:
    reader = Reader(lambda prompt, option: 0.1)
    ask(seated(reader, scale=(1, 2)), *GRADE, *COMPARE)
    assert [len(call) for call in reader.calls] == [2 * (len(GRADE) + len(COMPARE))]


def test_one_text_that_cannot_be_scored_spoils_no_other_question() -> None:
    class Picky(Reader):
        async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
            if any("\nno\n" in t.prompt.text for t in texts):
                raise Refused("that is too long")
            return await super().score(texts, want)

    found = ask(seated(Picky(lambda prompt, option: 0.1), scale=(1, 2)), *GRADE[:3])
    assert [j.abstention for j in found] == [None, "error", None]


@pytest.mark.parametrize("reason", ["unreachable", "timeout", "budget"])
def test_a_server_that_is_gone_is_not_asked_once_more_for_each_question(reason: str) -> None:
    reader = Reader(lambda prompt, option: 0.1)
    reader.fails = [Failure(reason)]
    found = ask(seated(reader), *COMPARE)
    assert [j.abstention for j in found] == [reason] * len(COMPARE)
    assert len(reader.calls) == 1


# What it says


@pytest.mark.parametrize(
    ("question", "said", "verdict"),
    [
        (COMPARE[0], '{"choice": "B"}', Ranked(tiers=((NO.id,), (YES.id,)))),
        (COMPARE[0], '{"choice": "A"}', Ranked(tiers=((YES.id,), (NO.id,)))),
        (COMPARE[0], '{"choice": "tie"}', Ranked(tiers=((YES.id, NO.id),))),
        (THREE, '{"ranking": ["C", "A", "B"]}', Ranked(tiers=((MAYBE.id,), (YES.id,), (NO.id,)))),
        (GRADE[0], '{"score": 7}', Graded(scores={"score": 7.0})),
        (LABEL[0], 'I say {"choice": "B"}.', Labelled(tags=("second",))),
    ],
)
def test_what_it_says_is_the_verdict(question: Question, said: str, verdict: object) -> None:
    speaker = saying(said)
    (found,) = ask(seated(speaker), question)
    assert found.verdict == verdict
    assert found.abstention is None
    assert len(speaker.prompts) == 1
    assert found.cost.calls == 1
    assert len(found.parents) == 2, "the question, and what was said"


def test_a_tie_is_no_option_where_the_instrument_allows_none() -> None:
    strict = COMPARE[0].model_copy(update={"instrument": Instrument(allows=())})
    speaker = saying('{"choice": "tie"}', '{"choice": "A"}')
    (found,) = ask(seated(speaker), strict)
    assert found.verdict == Ranked(tiers=((YES.id,), (NO.id,)))
    assert "tie" not in speaker.prompts[0].text


def test_one_repair_and_no_second() -> None:
    speaker = saying("B, I think.", '{"choice": "B"}')
    (found,) = ask(seated(speaker), COMPARE[0])
    assert found.verdict == Ranked(tiers=((NO.id,), (YES.id,)))
    first, second = speaker.prompts
    assert [m.role for m in second.messages] == ["user", "assistant", "user"]
    assert second.messages[:2] == (*first.messages, Message(role="assistant", content="B, I think."))
    assert "JSON" in second.text
    never = saying("B", "B!", '{"choice": "B"}')
    (found,) = ask(seated(never), COMPARE[0])
    assert abstained(found) == "unparsable"
    assert "'B!'" in found.note
    assert len(never.prompts) == 2
    assert found.cost.calls == 2


@pytest.mark.parametrize("texts", [(SORRY, "No."), ("?", SORRY)])
def test_a_refusal_is_called_one(texts: tuple[str, str]) -> None:
    (found,) = ask(seated(saying(*texts)), COMPARE[0])
    assert abstained(found) == "refused"


def test_reasons_come_first_and_are_kept() -> None:
    speaker = saying('{"reason": "It is shorter.", "choice": "B"}')
    (found,) = ask(seated(speaker, reasons=True), COMPARE[0])
    assert found.rationale == "It is shorter."
    assert '{"reason": "one or two sentences", "choice": "A"}' in speaker.prompts[0].text
    assert "reason" not in saying_prompt(seated(saying('{"choice": "A"}')))


@pytest.mark.parametrize(
    ("question", "said", "verdict"),
    [
        (COMPARE[0], ("A", "B", "A", "A"), Spread(p={YES.id: 0.75, NO.id: 0.25})),
        (COMPARE[0], ("A", "tie", "A", "tie"), Spread(p={YES.id: 0.75, NO.id: 0.25})),
        (THREE, ("C", "A", "C", "C"), Spread(p={YES.id: 0.25, NO.id: 0.0, MAYBE.id: 0.75})),
        (LABEL[0], ("B", "B", "A", "B"), Spread(p={"first": 0.25, "second": 0.75})),
    ],
)
def test_how_often_it_says_each_is_its_probability(
    question: Question, said: Sequence[str], verdict: object
) -> None:
    speaker = saying(*(f'{{"choice": "{one}"}}' for one in said))
    (found,) = ask(seated(speaker, samples=4), question)
    assert found.verdict == verdict
    assert "4 times" in found.note
    assert found.cost.calls == 4
    assert len({h.key for h in speaker.how}) == 4, "four draws"
    assert len({prompt.id for prompt in speaker.prompts}) == 1, "of one prompt"


def test_a_grade_said_several_times_is_their_mean() -> None:
    (found,) = ask(seated(saying('{"score": 7}', '{"score": 8}'), samples=2), GRADE[0])
    assert grade(found) == pytest.approx(7.5)


def test_one_sample_that_cannot_be_read_is_no_share_of_the_others() -> None:
    (found,) = ask(seated(saying('{"choice": "A"}', "?", "?", '{"choice": "A"}'), samples=3), COMPARE[0])
    assert abstained(found) == "unparsable"


def test_samples_are_said_and_not_read() -> None:
    with pytest.raises(ValueError, match="samples are said"):
        seated(saying(), samples=2, read="labels")
    reader = Reader(lambda prompt, option: 0.5)
    assert not seated(reader, samples=2)._scores
    assert seated(reader)._scores


def test_temperature_and_length_are_the_plans() -> None:
    speaker = saying('{"choice": "A"}', '{"choice": "A"}')
    ask(seated(speaker, temperature=0.3, max_tokens=40), *COMPARE)
    assert {(h.temperature, h.max_tokens) for h in speaker.how} == {(0.3, 40)}
    assert len({h.key for h in speaker.how}) == 2, "each question draws for itself"


@pytest.mark.parametrize("reason", ["unreachable", "timeout", "budget", "refused"])
def test_a_model_that_gives_no_answer_is_an_abstention_with_its_reason(reason: str) -> None:
    def fail(prompt: Prompt) -> Any:
        return Failure(reason)

    (found,) = ask(seated(Speaker(fail)), COMPARE[0])
    assert abstained(found) == reason
    assert found.note == f"this is {reason}"


@pytest.mark.parametrize("error", [Refused("no"), ContractError("m", "a", "b"), Failure("tired")])
def test_every_other_failure_is_an_error_and_no_verdict(error: Exception) -> None:
    def fail(prompt: Prompt) -> Any:
        return error

    (found,) = ask(seated(Speaker(fail)), COMPARE[0])
    assert abstained(found) == "error"
