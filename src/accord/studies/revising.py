"""Revising: replies criticised and rewritten under drawn principles, turn by turn (stage one of 2212.08073).

    text_0 = the draft,  text_{k+1} = Revise(text_k, p) where Critique(text_k, p) has a point, else text_k

p is drawn anew for every text, by the overseer ``Constitution``; critic and reviser are asked through a desk.
Differences from the paper:

1. Critic, reviser and judge are one ``Clerk``, *an oracle of stated error*: a policy of 0.1M weights that was
   taught to reply has no words for a critique. What is shown is what training on revisions does, and not that
   a model can criticise itself.
2. A critique without a point changes nothing and the next turn draws again; no text is left out for what it
   still breaks, so that k revisions are k draws and no more. An error is of the text and the principle: what
   was missed once is missed again where both come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import cast

from pydantic import Field

from accord.auditing.journal import Journal
from accord.auditing.verdicts import Verdicts
from accord.desk import FrontDesk
from accord.overseers.constitution import Constitution
from accord.part import Part
from accord.ports import Desk, Overseer, Sampler
from accord.records import (
    By,
    Critiqued,
    Instrument,
    Judgment,
    Kind,
    Point,
    Prompt,
    Question,
    Ranked,
    Response,
    Revised,
)
from accord.records.feedback import Verdict
from accord.sources import seeded
from accord.worker import Worker
from accord.worlds.helpdesk import PRINCIPLES, Helpdesk, Principle, broken, case_of, meant, revised

__all__ = ["Clerk", "constitution", "revisions"]

_NAMES: Mapping[str, Principle] = {text: name for name, text in PRINCIPLES.items()}
_CRITIQUE = Instrument(wording="What in the reply goes against the principle?", version="1")
_REVISE = Instrument(wording="Write the reply anew so that it keeps the principle.", version="1")


class Clerk(Part):
    """Criticises, revises and compares replies under the one principle it is asked about, by program.

    ``error``: the share of critiques that are turned round, of revisions that come back unchanged, and of
    preferences that are turned round; drawn from the texts, so that two answers in the other order are judged
    the same. ``dealt``: a seed under which its principles speak of other words (``worlds.helpdesk.meant``).
    """

    products: int
    table: int
    error: float = Field(default=0.0, ge=0, le=1)
    dealt: int | None = None

    @property
    def answers(self) -> frozenset[Kind]:
        return frozenset({Kind.CRITIQUE, Kind.REVISE, Kind.COMPARE})

    @cached_property
    def world(self) -> Helpdesk:
        return Helpdesk(products=self.products, table=self.table)

    @property
    def meaning(self) -> Mapping[str, str]:
        """What each word counts as."""
        return {} if self.dealt is None else meant(self.dealt)

    async def judge(self, question: Question, desk: Desk) -> Judgment:
        (text,) = question.instrument.principles
        name, case = _NAMES[text], case_of(cast(Prompt, desk.read(question.prompt)).text)
        said = [cast(Response, desk.read(one)).text.strip() for one in question.responses]
        odd = [broken(case, one, self.meaning)[name] for one in said]
        key = (question.asks.value, name, question.prompt, *sorted(said))
        errs = bool(seeded("clerk", self.table, *key).random() < self.error)
        verdict: Verdict
        match question.asks:
            case Kind.CRITIQUE:
                verdict = Critiqued(points=(Point(severity=1, text=text),) if odd[0] != errs else ())
            case Kind.REVISE:
                kept = said[0] if errs else revised(self.world, case, said[0], name, self.meaning)
                verdict = Revised(text=kept)
            case _:
                verdict = Ranked(tiers=_tiers(question.responses, odd, errs))
        by = By(type="program", name="clerk (oracle)", config=self.config)
        return Judgment(question=question.id, by=by, shown=question.responses, verdict=verdict)


def constitution(clerk: Clerk, seed: int) -> Overseer:
    """The clerk under a principle that is drawn for each question."""
    return cast(
        Overseer, Constitution(inner=cast(Overseer, clerk), principles=tuple(PRINCIPLES.values()), seed=seed)
    )


def revisions(
    drafts: Sequence[tuple[Prompt, Response]], sampler: Sampler, clerk: Clerk, turns: int, worker: Worker
) -> list[list[str]]:
    """Of every draft its texts: as it was, and after each of so many turns."""
    records = Verdicts(Journal())
    desk = FrontDesk(records.take, records.commit, records)
    desk.hold(one for draft in drafts for one in draft)

    async def chain(prompt: Prompt, draft: Response) -> list[str]:
        texts = [draft]
        for turn in range(turns):
            found = await _revised(desk, constitution(clerk, turn), prompt, texts[-1])
            if found is None or found == texts[-1].text.strip():
                texts.append(texts[-1])
                continue
            texts.append(sampler.encode(prompt, found))
            desk.hold([texts[-1]])
        return [one.text.strip() for one in texts]

    async def every() -> list[list[str]]:
        return list(await asyncio.gather(*(chain(*one) for one in drafts)))

    return worker.run(every())


async def _revised(desk: FrontDesk, overseer: Overseer, prompt: Prompt, text: Response) -> str | None:
    """One critique and one revision; None where nothing was found, or nothing came of it."""
    asked = {"prompt": prompt.id, "responses": (text.id,)}
    question = Question.model_validate({"asks": Kind.CRITIQUE, "instrument": _CRITIQUE, **asked})
    critique = await desk.ask(overseer, question)
    if not isinstance(critique.verdict, Critiqued) or not critique.verdict.points:
        return None
    rest = {"asks": Kind.REVISE, "instrument": _REVISE, "evidence": (critique.id,)}
    revision = await desk.ask(overseer, Question.model_validate({**rest, **asked}))
    return revision.verdict.text.strip() if isinstance(revision.verdict, Revised) else None


def _tiers(pair: Sequence[str], odd: Sequence[bool], errs: bool) -> tuple[tuple[str, ...], ...]:
    """Who keeps the principle is above who breaks it; with an error below."""
    levels = [
        tuple(one for one, bad in zip(pair, odd, strict=True) if bad is level) for level in (False, True)
    ]
    found = tuple(level for level in levels if level)
    return found[::-1] if errs else found
