"""Sitting: one dialogue, from a model's own answers to what came of them; see ``dialogue.py`` for the course.

Each question goes through the desk, so that a text is a Record with its question as parent, and what was said
before is repeated and not asked again. What fails for the moment, such as a server that is away, is not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple, cast

from accord.auditing.asking import Asking
from accord.auditing.journal import Journal
from accord.desk import FrontDesk
from accord.errors import Away, PlanError
from accord.feedback import Asking as Asked
from accord.feedback import StageFeedback
from accord.overseers.human import Human
from accord.ports import How, Overseer
from accord.progress import Progress
from accord.records import (
    PASSING,
    Acceptance,
    Judgment,
    Labelled,
    Prompt,
    Proposal,
    Question,
    Reply,
    Response,
    Revised,
    Tried,
)
from accord.records.rows import Group
from accord.records.stewarding import CameTo
from accord.sources import seeded
from accord.steward import choices, talk
from accord.steward.choices import BothOrders, Choice, Compared, compared
from accord.steward.conversed import Conversed, Extent, Revision, Said
from accord.steward.judges import PERSON, Judges, Nobody, judge_of, judged_by, waiting
from accord.steward.ledger import Ledger
from accord.steward.own import Own, own, unbroken
from accord.steward.resolutions import closed, offers
from accord.steward.talk import Again, Reasons
from accord.values import Principle, Values
from accord.worker import Worker

__all__ = ["About", "Sitting"]

_AT_ONCE = 16  # questions to a server side by side
_SHOWN = 2  # conflicting answers in one talk
_GOES_ON = "the same again goes on"
_LEARN = "revised answer"


class About(NamedTuple):
    """What is talked about, and with whom."""

    model: str
    values: Values
    principle: Principle
    slice: str


@dataclass
class Sitting:
    """One dialogue: asks what its records do not hold, and reads what was said."""

    about: About
    sampler: Asking
    extent: Extent
    judge: Asked
    journal: Journal
    worker: Worker
    show: Progress
    _kept: Ledger = field(init=False)
    _desk: FrontDesk = field(init=False)
    _replies: list[Reply] = field(default_factory=list[Reply])

    def __post_init__(self) -> None:
        self._kept = Ledger(self.journal)
        self._desk = self._kept.desk()

    def held(self) -> Conversed:
        """The whole of it, from its own answers to what came of them."""
        self._foretell()
        owns = self._own()
        conflicts = [one for one in owns if one.conflict is not None]
        said = Said(prompts=len(owns))
        if not conflicts:
            return self._over("no evidence", unbroken(owns), said)
        words = self._talks(conflicts)
        said, found = self._stated(owns, said)
        if not found.evidence:
            return self._over("no evidence", found.says, said)
        revised = self._revised(conflicts, words)
        made = offers(self.about.values, self.about.principle, self.about.slice, self._policy, revised)
        self._take(made)
        replies = self._put(made, conflicts)
        known = {one.id: one for one in self._kept.of(Proposal)}
        if (closing := closed(self._kept.of(Acceptance), known)) is not None:
            outcome, answer = closing
            what = "declines that its revised answers be trained on"
            told = f"{answer.by} {what if outcome == 'declined' else f'accepted: {outcome}'}"
            return self._over(outcome, f"{found.says}; {told}", said, made)
        reads = next((r.reads for p, r in zip(made, replies, strict=True) if p.resolution == _LEARN), None)
        if reads is None:
            says = f"{found.says}; none of its {len(revised)} revised answers is approved"
            return self._over("declined", says, said, made)
        if reads == "decline":
            says = f"{found.says}; it declines that its revised answers be trained on"
            return self._over("declined", says, said, made)
        rows = _once(revised)
        says = f"{found.says}; {len(rows)} revised answers are approved"
        return self._over("revised answer", says, said, made, rows)

    # What it does

    @property
    def _prompts(self) -> list[Prompt]:
        """Of the training half alone."""
        slices = {one.name: one for one in self.about.values.slices(self.about.principle.id)}
        if self.about.slice not in slices:
            raise PlanError("--slice", self.about.slice, ", ".join(slices))
        return [case.prompt for case in slices[self.about.slice].training[: self.extent.prompts]]

    def _foretell(self) -> None:
        """Say what it may take at most."""
        extent, prompts = self.extent, len(self._prompts)
        long = prompts * (extent.samples + 1 + extent.restatements)
        long += 2 * extent.talks * len(talk.WORDINGS) * len(talk.ORDERS)
        short = 2 * (prompts * len(choices.WORDINGS) + 3 * len(choices.CONSENT))
        told = f"will have it say up to {long:,} texts of up to {extent.max_tokens} tokens"
        self.show.say(f"{told}, and choose up to {short:,} times; what was said before is not asked again")

    def _own(self) -> list[Own]:
        prompts = self._prompts
        how = How("dialogue/own", self.extent.temperature, self.extent.max_tokens)
        self.show.begin(f"its own answers to {len(prompts)} prompts")
        groups = self.worker.run(self.sampler.sample(prompts, self.extent.samples, how))
        kept = self._approved(groups, alone=True)
        return [own(group, kept, self.about.principle.hard) for group in groups]

    def _judged(self, principle: Principle, asked: Asked, groups: Sequence[Group]) -> dict[str, float]:
        """Of each answer whether it keeps a principle. Away where a verdict is still to come: nobody has
        looked yet, or who judges failed for the moment, and neither tells anything of the model."""
        feedback = StageFeedback([asked], self._desk, self.worker, self._kept.take)
        found = dict(judged_by(principle, asked, feedback, groups).kept)
        waits = {why: n for why, n in feedback.abstained.items() if why.partition(" ")[0] in PASSING}
        if waits:
            count = f"{sum(waits.values())} of {sum(len(group.responses) for group in groups)} answers"
            if principle.judge == PERSON:
                people = waiting(cast(Human, asked.overseer).queue)
                raise Away(f"{principle.id}: {count} wait for a person\n  {people}\n  then the same again")
            raise Away(f"{principle.id}: {count} were not judged: {next(iter(waits))}\n  {_GOES_ON}")
        return found

    def _approved(self, groups: Sequence[Group], alone: bool) -> dict[str, float]:
        """Of each answer whether it keeps the principle; unless ``alone``, and every hard one that a program
        checks, under which not to know is to violate it."""
        found = self._judged(self.about.principle, self.judge, groups)
        if alone:
            return found
        values, mine = self.about.values, self.about.principle.id
        for hard in (one for one in values.principles if one.hard and one.id != mine and one.check):
            asked = judge_of(values, hard, Judges(), self._nobody, "")
            assert not isinstance(asked, Nobody), "a program judges it"
            kept = self._judged(hard, asked, groups)
            found = {name: grade * (kept.get(name) == 1.0) for name, grade in found.items()}
        return found

    def _nobody(self, model: str) -> Asking:
        raise AssertionError(f"a program judges it, not {model}")

    # What it says

    def _talks(self, conflicts: Sequence[Own]) -> list[str]:
        """Reasons and restatements; the restatements that came oftenest."""
        order = seeded("dialogue", "talks", self.about.principle.id, self.about.slice).permutation(
            len(conflicts)
        )
        shown = [conflicts[int(i)] for i in order][: _SHOWN * self.extent.talks]
        parts = [shown[i : i + _SHOWN] for i in range(0, len(shown), _SHOWN)]
        questions = [
            talk.talk(part[0].group.prompt, [cast(Response, one.conflict) for one in part], text, *form)
            for part in parts
            for form in product(talk.WORDINGS, talk.ORDERS)
            for text in [self.about.principle.text]
        ]
        overseer = Reasons(self.sampler, self.extent.max_tokens, self.extent.temperature)
        found = self._asked("reasons, and the principle in its own words", overseer, questions)
        said: list[str] = []
        for question, judgment in zip(questions, found, strict=True):
            said.append(_text(judgment))
            parents = (judgment.id, *judgment.parents[1:])
            self._reply("reasons", question.id, judgment.rationale, parents=parents)
            self._reply("restatement", question.id, said[-1], parents=parents)
        self._kept.commit()
        return talk.restatements(said, self.about.principle.text, self.extent.restatements)

    def _stated(self, owns: Sequence[Own], said: Said) -> tuple[Said, Compared]:
        """What it says it will do, prompt by prompt, and how that goes with what it does."""
        known = [one for one in owns if one.revealed]
        seed = ("dialogue", self.about.principle.id, self.about.slice)
        said = said._replace(left_out=len(owns) - len(known))
        if len(known) < choices.LEAST:  # nothing that it said could tell
            silent: list[Choice] = [""] * len(known)
            return said, compared(silent, [one.revealed for one in known], seeded(*seed, "null"))
        opposite_P = choices.reversed_half(len(known), seeded(*seed, "opposite"))
        asked: list[Question] = []
        for one, opposite in zip(known, opposite_P, strict=True):
            text = choices.rule(self.about.principle.text, opposite)
            responses = tuple(response.id for response in one.group.responses)
            for wording in choices.WORDINGS:
                prompt, question = choices.posed(wording, one.group.prompt.text, text, responses)
                self._take([prompt])
                asked.append(question)
        found = self._asked("what it says it will do", BothOrders(self.sampler), asked)
        width = len(choices.WORDINGS)
        stated_P: list[Choice] = []
        revealed_P: list[Choice] = []
        for place, (one, opposite) in enumerate(zip(known, opposite_P, strict=True)):
            part = slice(place * width, (place + 1) * width)
            read: list[Choice] = [_choice(q, j) for q, j in zip(asked[part], found[part], strict=True)]
            stated_P.append(choices.stated(read))
            revealed_P.append(choices.turned(one.revealed, opposite))
            text = choices.rule(self.about.principle.text, opposite)
            # What a person said of its answers is theirs, and stays where they said it.
            by_person = self.about.principle.judge == PERSON
            told = {"reads": stated_P[-1], "revealed": "" if by_person else revealed_P[-1]}
            self._reply("choice", one.group.prompt.id, text, parents=tuple(j.id for j in found[part]), **told)
        self._kept.commit()
        result = compared(stated_P, revealed_P, seeded(*seed, "null"))
        why = [judgment.abstention for judgment in found]
        said = said._replace(
            compared=result,
            asked=len(found),
            flipped=why.count("order_conflict"),
            unread=why.count("unparsable"),
            undecided=stated_P.count(""),
        )
        return said, result

    def _revised(self, conflicts: Sequence[Own], words: Sequence[str]) -> list[Revision]:
        """Each conflicting answer once more, under the principle as it stands and as the model put it."""
        texts = [self.about.principle.text, *words]
        questions = [
            talk.again(one.group.prompt, cast(Response, one.conflict), text, talk.ORDERS[place % 2])
            for place, one in enumerate(conflicts)
            for text in texts
        ]
        overseer = Again(self.sampler, self.extent.max_tokens, self.extent.temperature)
        asked = self._asked("answers anew", overseer, questions)
        given = [place for place, judgment in enumerate(asked) if _text(judgment)]  # the others said nothing
        prompts = [one.group.prompt for one in conflicts for _ in texts]
        said = {place: cast(Response, self._desk.read(asked[place].parents[1])) for place in given}
        kept = self._approved([Group(prompts[place], (said[place],)) for place in given], alone=False)
        revised: list[Revision] = []
        for place, answer in said.items():
            # An answer that was cut off is no whole answer, whatever a check says of its beginning.
            approved = kept.get(answer.id) == 1.0 and answer.finish == "stop"
            by_person = self.about.principle.judge == PERSON
            reads = "" if by_person else "approved" if approved else "not approved"
            parents = (asked[place].id, answer.id)
            reply = self._reply("revision", questions[place].id, answer.text, parents=parents, reads=reads)
            revised.append(Revision(prompts[place], answer, texts[place % len(texts)], approved, reply.id))
        self._kept.commit()
        return revised

    def _put(self, made: Sequence[Proposal], conflicts: Sequence[Own]) -> list[Reply]:
        """What the model says to each proposal, in both orders and two wordings; "" where they differ."""
        shown = cast(Response, conflicts[0].conflict)
        forms = list(product(made, choices.CONSENT))
        asked: list[Question] = []
        for proposal, wording in forms:
            told = (proposal.text, self.about.principle.text, (shown.id,), (proposal.id,))
            prompt, question = choices.posed(wording, *told)
            self._take([prompt])
            asked.append(question)
        found = self._asked("what it says to the proposals", BothOrders(self.sampler), asked)
        replies: list[Reply] = []
        width = len(choices.CONSENT)
        for place, proposal in enumerate(made):
            part = slice(place * width, (place + 1) * width)
            read = {_choice(q, j) for q, j in zip(asked[part], found[part], strict=True)}
            reads = {"keeps": "accept", "breaks": "decline"}.get(read.pop(), "") if len(read) == 1 else ""
            parents = (proposal.id, *(judgment.id for judgment in found[part]))
            replies.append(self._reply("proposal", proposal.id, proposal.text, parents=parents, reads=reads))
        self._kept.commit()
        return replies

    # Records

    @property
    def _policy(self) -> str:
        return self.sampler.policy

    def _asked(self, what: str, overseer: Overseer, questions: Sequence[Question]) -> list[Judgment]:
        """Ask a few at a time. Away where the model failed to answer: what it said before is kept."""
        self.show.begin(what, len(questions))
        found: list[Judgment] = []
        size = _AT_ONCE if self.sampler.remote else 1

        async def some(part: Sequence[Question]) -> list[Judgment]:
            return list(await asyncio.gather(*(self._desk.ask(overseer, one) for one in part)))

        for start in range(0, len(questions), size):
            part = self.worker.run(some(questions[start : start + size]))
            for one in part:
                if one.abstention in PASSING:
                    note = one.note.partition(" (traceback")[0]
                    why = f"{self.about.model} did not answer: {one.abstention} {note}"
                    raise Away(f"{why}\n  {_GOES_ON}")
            found += part
            self.show.advance(len(part))
        self.show.end()
        return found

    def _take(self, records: Sequence[Prompt | Proposal]) -> None:
        self._kept.take(records)
        self._desk.hold(records)

    def _reply(self, about: str, to: str, text: str, parents: tuple[str, ...], **read: str) -> Reply:
        told = {"policy": self._policy, "principle": self.about.principle.id, "about": about, "to": to}
        reply = Reply.model_validate({**told, "text": text, "parents": parents, **read})
        self._kept.take([reply])
        self._replies.append(reply)
        return reply

    def _over(
        self,
        outcome: CameTo,
        says: str,
        said: Said,
        made: Sequence[Proposal] = (),
        revised: tuple[Revision, ...] = (),
    ) -> Conversed:
        """What it came to, as a Record of its own."""
        self._kept.commit()
        texts = tuple(one.id for one in self._kept.of(Response) if one.policy == self._policy)
        answered = tuple(self._kept.of(Acceptance))
        rests = tuple(one.id for one in (*made, *self._replies, *answered)) or texts
        told = {"policy": self._policy, "values": self.about.values.digest, "way": "dialogue"}
        whose = {"principle": self.about.principle.id, "slice": self.about.slice}
        came = {"outcome": outcome, "says": says, "evidence": rests, "agreement": said.agreement}
        tried = Tried.model_validate({**told, **whose, **came})
        self._kept.take([tried])
        self._kept.commit()
        return Conversed(
            self.about.model,
            tried,
            said,
            tuple(made),
            tuple(self._replies),
            revised,
            texts,
            self.journal.folder,
            answered,
        )


def _once(revised: Sequence[Revision]) -> tuple[Revision, ...]:
    """The approved ones; the same words to the same prompt once, however often they came."""
    found: dict[tuple[str, str], Revision] = {}
    for one in (one for one in revised if one.approved):
        found.setdefault((one.prompt.id, one.answer.text.strip()), one)
    return tuple(found.values())


def _text(judgment: Judgment) -> str:
    return judgment.verdict.text if isinstance(judgment.verdict, Revised) else ""


def _choice(question: Question, judgment: Judgment) -> Choice:
    """The first option keeps, the second breaks; "" where neither was chosen in both orders."""
    if not isinstance(judgment.verdict, Labelled):
        return ""
    return "keeps" if judgment.verdict.tags[0] == question.instrument.options[0] else "breaks"
