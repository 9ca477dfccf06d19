"""The laws of overseers whose models speak before a verdict, ``Debate`` and ``Consult``, put to them with
scripted voices over a leaf that listens. What holds of all made of others is in ``accord.testing.laws``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeVar, cast

from accord.maths.talking import marks
from accord.overseers import Speaking, remade
from accord.overseers.consult import Arm, Consult
from accord.overseers.debate import Debate
from accord.ports import Desk, How, Overseer, Sampler, Scored
from accord.records import Cost, Judgment, Kind, Prompt, Question, Record, Response, Verdict, digest
from accord.records.rows import Group, Text
from accord.testing.leaves import Leaf, alike, judged, same
from accord.testing.promises import promised

__all__ = ["Heard", "Listener", "Voice", "check_consult", "check_debate"]

_S = TypeVar("_S", bound=Speaking)
_LOTS = 200
_HALF = 5 * 0.5 / _LOTS**0.5  # five standard deviations of a share that ought to be one half

Says = Callable[[str, Prompt, str], str]


class Heard(NamedTuple):
    """One text that was said: by whom, to what, under which key."""

    who: str
    prompt: Prompt
    key: str
    text: str


class Voice:
    """A Sampler that says what ``says(who, prompt, key)`` gives, and writes it down in ``heard``."""

    can = frozenset({"sample"})

    def __init__(self, who: str, says: Says, heard: list[Heard]) -> None:
        self.policy, self._says, self._heard = f"voice {who}", says, heard
        self._who = who

    def encode(self, prompt: Prompt, text: str) -> Response:
        tokens = tuple(range(len(text.split()) + 1))
        read = tuple(range(len(prompt.text.split())))
        told = {"prompt": prompt.id, "text": text, "policy": self.policy, "parents": (prompt.id,)}
        return Response.model_validate({**told, "tokens": tokens, "prompt_tokens": read})

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        return [Group(prompt, tuple(self._say(prompt, how, i) for i in range(n))) for prompt in prompts]

    def _say(self, prompt: Prompt, how: How, index: int) -> Response:
        heard = Heard(self._who, prompt, how.key, self._says(self._who, prompt, how.key))
        self._heard.append(heard)
        return self.encode(prompt, heard.text).model_copy(update={"seed": how.key, "index": index})

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise NotImplementedError("a voice is heard, not scored")


class Listener(Leaf):
    """A leaf whose grades hang on what it is told beside the answers: on everything, piece after piece and
    the wording too, or on the ``texts`` alone, whoever says them and however often."""

    heeds: Literal["everything", "texts"] = "everything"

    def _verdict(self, question: Question, desk: Desk) -> Verdict:
        texts = [cast(Response, desk.read(one)).text for one in question.evidence]
        own = {cast(Response, desk.read(answer)).text for answer in question.responses}
        told = [*texts, question.instrument.wording] if self.heeds == "everything" else sorted({*texts} | own)
        return Leaf._verdict(self.model_copy(update={"name": digest([self.name, *told])}), question, desk)


def unlike(who: str, prompt: Prompt, key: str) -> str:
    """Never the same text twice, but to the same who is asked the same."""
    return digest([who, prompt.id, key])[:16]


def truth(who: str, prompt: Prompt, key: str) -> str:
    """The same from whoever is asked, and whatever for."""
    del who, prompt, key
    return "It is as it is."


def mute(who: str, prompt: Prompt, key: str) -> str:
    del who, prompt, key
    return " \n"


# Debate


def check_debate(overseer: Debate, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """ContractError with the first law of ``Debate`` that is broken."""
    for says, rounds, promise in (
        (unlike, 0, "without rounds nobody speaks, and it says what the inner overseer says"),
        (mute, 2, "where nobody says a word it says what the inner overseer says"),
    ):
        made, leaf, heard = _over(overseer, says, rounds=rounds)
        _check_same(overseer, promise, judged(made, questions, groups), judged(leaf, questions, groups))
        promised(overseer, promise, bool(heard) == bool(rounds), f"{len(heard)} turns")
    _check_rounds(overseer, questions[0], groups)
    _check_sides(overseer, questions, groups)
    made, _, _ = _over(overseer, unlike, speakers=("a", "b"), rounds=2)
    exchanged, _, _ = _over(overseer, unlike, speakers=("b", "a"), rounds=2)
    promise = "with the two seats exchanged it says the same"
    _check_same(overseer, promise, judged(made, questions, groups), judged(exchanged, questions, groups))
    _check_turned(overseer, questions, groups)
    _check_quotes(overseer, questions[0], groups)
    consult = Consult(inner=cast(Overseer, _listener()), adviser="a", arm="honest", seed=overseer.seed)
    _check_honest(overseer, overseer, consult, (questions, groups))


def _check_rounds(overseer: Debate, question: Question, groups: Sequence[Group]) -> None:
    made, leaf, heard = _over(overseer, unlike, speakers=("a", "b"), rounds=3)
    written: list[Record] = []
    (said,) = judged(made, [question], groups, written)
    promise = "in each round both speak, and have read the earlier rounds and nothing of this one"
    kept = [{one.who for one in heard[i : i + 2]} for i in (0, 2, 4)] == [{"a", "b"}] * 3 and len(heard) == 6
    read = all(
        (one.text in other.prompt.text) == (i // 2 < j // 2)
        for i, one in enumerate(heard)
        for j, other in enumerate(heard)
    )
    promised(overseer, promise, kept and read, [one.who for one in heard])
    _check_shown(overseer, question, leaf, heard, written)
    _check_cost(overseer, said, heard, written)


def _check_sides(overseer: Debate, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    for question in questions:
        made, _, heard = _over(overseer, unlike, speakers=("a", "b"), rounds=3)
        judged(made, [question], groups)
        defended = {(one.who, one.prompt.columns.get("answer")) for one in heard}
        drawn = set(zip(made.seats(question), made.named(question), strict=True))
        promise = "who defends which answer is drawn beforehand, and stays so in every round"
        promised(overseer, promise, defended == drawn, sorted(map(str, defended)))
    made = remade(overseer, lambda one: one, speakers=("a", "b"))
    lots = _lots()
    found = [made.seats(one)[made.named(one).index("x")] == "a" for one in lots]
    promise = "each speaker defends each answer half of the time"
    promised(overseer, promise, abs(sum(found) / len(lots) - 0.5) < _HALF, sum(found))


# Consult


def check_consult(overseer: Consult, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    """ContractError with the first law of ``Consult`` that is broken."""
    made, leaf, _ = _over(overseer, mute)
    promise = "where the adviser says no word it says what the inner overseer says"
    _check_same(overseer, promise, judged(made, questions, groups), judged(leaf, questions, groups))
    made, leaf, heard = _over(overseer, unlike)
    written: list[Record] = []
    (said,) = judged(made, questions[:1], groups, written)
    _check_shown(overseer, questions[0], leaf, heard, written)
    _check_cost(overseer, said, heard, written)
    _check_arms(overseer, questions, groups)
    _check_turned(overseer, questions, groups)
    _check_quotes(overseer, questions[0], groups)
    debate = Debate(inner=cast(Overseer, _listener()), speakers=("a", "a"), rounds=2, seed=overseer.seed)
    _check_honest(overseer, debate, overseer, (questions, groups))


def _check_arms(overseer: Consult, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    lots, drawn = _lots(), overseer.model_copy(update={"arm": "drawn"})
    counts = drawn.arms(lots)
    told = [drawn.drawn(one) for one in lots]
    counted = counts == {"honest": told.count("honest"), "dishonest": told.count("dishonest")}
    promised(overseer, "arms are counted as they are drawn", counted, counts)
    kept = told == [drawn.drawn(_turned(one)) for one in lots]
    promised(overseer, "the arm does not hang on the order in which the answers are listed", kept)
    even = abs(counts["honest"] / len(lots) - 0.5) < _HALF
    promised(overseer, "half of the advisers are honest, by lot", even, counts)

    def asked(arm: Literal["drawn"] | Arm, seed: int) -> tuple[list[Prompt], list[Question], list[Judgment]]:
        made, leaf, heard = _over(overseer, truth, arm=arm, seed=seed)
        said = judged(made, questions, groups, together=False)
        return [one.prompt for one in heard], leaf.asked, said

    for seed in range(4):
        lot, fixed = asked("drawn", seed), {arm: asked(arm, seed) for arm in ("honest", "dishonest")}
        arms = [overseer.model_copy(update={"arm": "drawn", "seed": seed}).drawn(one) for one in questions]
        kept = [fixed[arm][0][n] for n, arm in enumerate(arms)] == lot[0]
        apart = all(h.text != d.text for h, d in zip(fixed["honest"][0], fixed["dishonest"][0], strict=True))
        promised(overseer, "the adviser is told the arm that was drawn", kept and apart, arms)
        promise = "the judge is not told the arm"
        _check_same(overseer, promise, fixed["honest"][2], fixed["dishonest"][2])
        wordings = {one.instrument.wording for one in (*lot[1], *asked("drawn", 0)[1])}
        promised(overseer, promise, len(wordings) == 1, sorted(wordings))


# Of both


def _check_shown(
    overseer: Speaking, question: Question, leaf: Leaf, heard: Sequence[Heard], written: Sequence[Record]
) -> None:
    said = [one for one in written if isinstance(one, Response) and question.id in one.parents]
    promised(overseer, "the inner overseer is asked once", len(leaf.asked) == 1, len(leaf.asked))
    (asked,) = leaf.asked
    kept = asked.evidence[2:] == tuple(one.id for one in said) and [one.text for one in heard] == [
        one.text for one in said
    ]
    promise = "all that was said is a Response under the question, and the judge is shown every one"
    promised(overseer, promise, kept and bool(said), f"{len(said)} on record, {len(asked.evidence)} shown")
    names = set(asked.evidence[:2]) == set(question.responses)
    promised(overseer, "the judge is shown which answers are One and Two", names, asked.evidence[:2])


def _check_cost(
    overseer: Speaking, said: Judgment, heard: Sequence[Heard], written: Sequence[Record]
) -> None:
    spoken = [one for one in written if isinstance(one, Response)]
    tokens_in = sum(len(one.prompt_tokens) for one in spoken)
    tokens_out = sum(len(one.tokens) for one in spoken)
    below = [r.cost for r in written if isinstance(r, Judgment) and r.id != said.id]
    whole = sum(below, said.cost)
    wanted = Cost(calls=len(heard) + 1, tokens_in=tokens_in, tokens_out=tokens_out)
    promised(
        overseer, "every turn is in the books with its tokens, and every verdict", whole == wanted, whole
    )


def _check_turned(overseer: Speaking, questions: Sequence[Question], groups: Sequence[Group]) -> None:
    made, _, _ = _over(overseer, unlike)
    round_ = [_turned(question) for question in questions]
    promise = "what is said does not hang on the order in which the answers are listed"
    for one, two in zip(judged(made, questions, groups), judged(made, round_, groups), strict=True):
        promised(overseer, promise, alike(one, two), f"{one.verdict} and {two.verdict}")


def _check_quotes(overseer: Speaking, question: Question, groups: Sequence[Group]) -> None:
    asked = next(group.prompt for group in groups if group.prompt.id == question.prompt).messages[-1].content
    tries = (asked, asked.swapcase(), " ", f"{asked} {asked}")

    def quoting(who: str, prompt: Prompt, key: str) -> str:
        del who, prompt, key
        return " ".join(f"<quote>{text}</quote>" for text in tries)

    made, leaf, heard = _over(overseer, quoting)
    judged(made, [question], groups)
    wanted = tuple(bool(text.strip()) and text in asked for text in tries)
    found = marks(leaf.asked[0].instrument.wording)
    kept = found == {f"piece {n}": wanted for n in range(3, 3 + len(heard))}
    promised(overseer, "a quote is verified where it stands to the letter, and nowhere else", kept, found)


def _check_honest(
    overseer: Speaking, debate: Debate, consult: Consult, about: tuple[Sequence[Question], Sequence[Group]]
) -> None:
    two, _, _ = _over(debate, truth, heeds="texts", speakers=("a", "a"), rounds=2)
    one, _, _ = _over(consult, truth, heeds="texts", adviser="a", arm="honest")
    promise = "two identical honest debaters are one honest adviser to a judge who ignores repetition"
    _check_same(overseer, promise, judged(two, *about), judged(one, *about))


# How


def _over(
    overseer: _S, says: Says, *, heeds: Literal["everything", "texts"] = "everything", **settings: object
) -> tuple[_S, Listener, list[Heard]]:
    """It over one listening leaf, its speakers voices that say this; what they said, in order."""
    leaf, heard = _listener(heeds), list[Heard]()
    if isinstance(overseer, Debate):
        settings = {"rounds": 2, **settings}
    made = remade(overseer, lambda _: cast(Overseer, leaf), **{"material": (), **settings})
    voices: dict[str, Sampler] = {who: Voice(who, says, heard) for who in made.speaks.values()}
    return made.seated(voices), leaf, heard


def _listener(heeds: Literal["everything", "texts"] = "everything") -> Listener:
    return Listener(kinds=frozenset({Kind.COMPARE}), heeds=heeds)


def _turned(question: Question) -> Question:
    return question.model_copy(update={"responses": tuple(reversed(question.responses))})


def _lots() -> list[Question]:
    return [Question(asks=Kind.COMPARE, prompt=str(n), responses=("x", "y")) for n in range(_LOTS)]


def _check_same(
    overseer: Speaking, promise: str, said: Sequence[Judgment], wanted: Sequence[Judgment]
) -> None:
    for one, two in zip(said, wanted, strict=True):
        promised(overseer, promise, same(one, two), f"{one.verdict or one.abstention}")
