"""Constitution: what no number of answers reaches, nor being told, by having answers revised (2212.08073).

    stage one   draft → Critique under one sampled principle → Revise, up to four times; sft on what came of
                it and is approved, mixed with the base's own answers to unrelated prompts, as many at most
    stage two   two answers of the result, judged under sampled principles in both orders; soft labels, held
                within [.4, .6] where the judge reasons aloud; online_dpo

1. Principles are sampled among those of the divergent slices that the prompt belongs to: nothing else is
   being settled. A revision is drawn under its critique's principle. Stage two has one set of principles for
   all its prompts: those of every divergent slice.
2. A chain ends where the critique has no point, somebody abstains, or the text no longer changes. The
   programs of its principles are asked whether the last text keeps them, and those of the hard ones whether
   it breaks any; what they do not approve is not trained on. Texts of a principle without a program are
   learnt ``unjudged``, and counted. Who fails for the moment ends nothing: the same call asks again.
3. Stage two pushes answers down. For the purpose ``model`` it stands behind the gate, and is not begun here
   unless it was ``allowed``; the run itself then asks for the passing Decision.
4. Over-training shows as boilerplate: the guard's indicators run on these stages as on any other.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from pydantic import JsonValue

from accord.auditing import Engine
from accord.desk import FrontDesk
from accord.errors import Away, PlanError, Unsayable
from accord.overseers.constitution import Constitution as Drawing
from accord.overseers.program import Program
from accord.part import Part
from accord.plan import PartTable, Plan
from accord.ports import Overseer, Seated
from accord.progress import Progress
from accord.records import (
    JSON,
    PASSING,
    Critiqued,
    Graded,
    Instrument,
    Judgment,
    Kind,
    Prompt,
    Question,
    Response,
    Revised,
)
from accord.records.portraits import Standing
from accord.steward.approved import PRINCIPLES
from accord.steward.effort import Effort
from accord.steward.ledger import Ledger
from accord.steward.revised import plan_of
from accord.steward.reviser import Reviser
from accord.steward.trial import Bench, Order, Variant, bench, chosen
from accord.steward.variants import Terms, guard_of
from accord.stores.files import write_aside
from accord.values import Values, read_values

__all__ = ["TIMES", "Constituted", "Second", "constitute"]

FILE = "constituted.json"
TIMES = 4
_FIRST = "revised"
_CRITIQUE = "What in the answer goes against the principle?"
_REVISE = "Write the answer anew so that it keeps the principle."


class Second(NamedTuple):
    """Stage two, where it is wanted: who ``compares``, as an overseer of a plan. ``allowed``: the gate was
    asked, or the purpose is ``explore``."""

    compares: PartTable | Part
    allowed: bool = False
    beta: float = 0.1


class Constituted(NamedTuple):
    """What came of it. ``drafts`` were criticised, ``changed`` ended as another text, ``kept`` texts were
    trained on, ``unjudged`` of them under a principle that no program judges; ``firings``: how often each
    principle was drawn. ``second``: stage two, or in words why it was not begun. ``model``: of the stages
    that reach every target and lose nothing that with the least drift.
    """

    divergent: tuple[Standing, ...]
    drafts: int
    changed: int
    kept: int
    firings: Mapping[str, int]
    first: Variant | None
    second: Variant | str
    why: str
    model: Path | None
    unjudged: int = 0

    def json(self) -> dict[str, JSON]:
        """Every figure."""
        return {
            "divergent": [{"principle": s.principle, "slice": s.slice} for s in self.divergent],
            "drafts": self.drafts,
            "changed": self.changed,
            "kept": self.kept,
            "unjudged": self.unjudged,
            "firings": dict(self.firings),
            "first": None if self.first is None else self.first.json(),
            "second": self.second if isinstance(self.second, str) else self.second.json(),
            "why": self.why,
            "model": None if self.model is None else str(self.model),
        }


def constitute(  # size: what a step of the steward is given
    model: str,
    values: Values | Path | str,
    divergent: Sequence[Standing],
    *,
    judge: str | Overseer,
    runs: Path,
    name: str,
    effort: Effort,
    engine: Engine | None = None,
    progress: Progress | None = None,
    terms: Terms | None = None,
    held: Sequence[Standing] = (),
    second: Second | None = None,
) -> Constituted:
    """Have the drafts revised, train on what is approved, and measure. Goes on where it was under its name;
    Away where a model or a judge failed for the moment.

    ``judge``: a model that criticises and revises, or an overseer that answers Critique and Revise.
    """
    values, terms = values if isinstance(values, Values) else read_values(values), terms or Terms()
    if not divergent:
        raise PlanError("divergent", None, "one standing or more")
    with bench(model, values, Order(runs, name, effort, terms), engine, progress) as here:
        reviser = _reviser(here, judge)
        revising = _Revising(here, reviser, tuple(divergent))
        rows = revising.rows()
        gauges = here.gauges(divergent)
        first: Variant | None = None
        if rows:
            trained = here.trained(_FIRST, plan_of(here, _FIRST, rows, held))
            first = here.measured(trained, divergent, gauges, held)
        after = _second(here, divergent, first, second)
        if isinstance(after, Variant):
            after = here.measured(after, divergent, gauges, held)
        done = _done(revising, len(rows), first, after)
        write_aside(here.folder / FILE, json.dumps(done.json(), ensure_ascii=False, indent=1))
        here.show.say(done.why)
    return done


@dataclass
class _Revising:
    """Drafts and what becomes of them, at a desk whose every record is kept."""

    here: Bench
    reviser: Overseer
    divergent: tuple[Standing, ...]
    drafts: int = 0
    changed: int = 0
    unjudged: int = 0
    away: list[str] = field(default_factory=list[str])
    drawn: Counter[str] = field(default_factory=Counter[str])

    def rows(self) -> list[dict[str, JSON]]:
        """Prompts and the texts to learn, each once."""
        here = self.here
        cases = _prompts(here.values, self.divergent, here.effort.items)
        ledger = Ledger(here.base.journal)
        desk = ledger.desk()
        groups = here.base.drawn(cases, here.effort.told, here.how("draft"))
        ledger.take([*cases, *(r for g in groups for r in g.responses)])
        ledger.commit()
        desk.hold([*cases, *(r for g in groups for r in g.responses)])
        drafts = [(g.prompt, r) for g in groups for r in g.responses if r.text.strip()]
        self.drafts = len(drafts)
        here.show.begin("critique and revision", 2.0 * TIMES * len(drafts))  # each text said is one

        async def all_revised() -> list[Response | None]:
            return list(await asyncio.gather(*(self._revised(desk, ledger, *one) for one in drafts)))

        found = here.base.worker.run(all_revised())
        here.show.end()
        if self.away:
            count = f"{len(self.away)} of its questions not answered: {self.away[0]}"
            raise Away(f"{count}\n  the same again goes on, and asks only these")
        pairs = {
            (prompt.text, one.text): self._judging(prompt)
            for (prompt, _), one in zip(drafts, found, strict=True)
            if one is not None
        }
        self.unjudged = sum(None in programs for programs in pairs.values())
        return [{"prompt": asked, "completion": text} for asked, text in pairs]

    async def _revised(
        self, desk: FrontDesk, ledger: Ledger, prompt: Prompt, draft: Response
    ) -> Response | None:
        """What a draft ends as, where that is another text and approved; else None."""
        text = draft
        for turn in range(TIMES):
            overseer = self._drawing(prompt, turn)
            found = await self._once(desk, overseer, prompt, text)
            if found is None or found.text == text.text.strip():
                self.here.show.advance(2 * (TIMES - turn) - 1)  # what is not said any more
                break
            ledger.take([found])
            ledger.commit()
            desk.hold([found])
            text = found
        if text.text.strip() == draft.text.strip():
            return None
        self.changed += 1
        return text if await self._approved(desk, prompt, text) else None

    async def _once(
        self, desk: FrontDesk, overseer: Drawing, prompt: Prompt, text: Response
    ) -> Response | None:
        """One critique and one revision; None where the chain ends."""
        question = _question(Kind.CRITIQUE, prompt, text, _CRITIQUE, ())
        self.drawn[overseer.principles[overseer.drawn(question)]] += 1
        critique = await self._asked(desk, cast(Overseer, overseer), question)
        if not isinstance(critique.verdict, Critiqued) or not critique.verdict.points:
            return None
        asked = _question(Kind.REVISE, prompt, text, _REVISE, (critique.id,))
        revision = await self._asked(desk, cast(Overseer, overseer), asked)
        if not isinstance(revision.verdict, Revised) or not revision.verdict.text.strip():
            return None
        try:
            said = self.here.base.sampler.encode(prompt, revision.verdict.text.strip())
        except Unsayable:  # a text the model has no words for cannot be learnt
            return None
        return said.model_copy(update={"parents": (revision.id,)})

    def _drawing(self, prompt: Prompt, turn: int) -> Drawing:
        values = self.here.values
        own = cast("Sequence[str]", prompt.columns[PRINCIPLES])
        texts = tuple(dict.fromkeys(values[one].text for one in own))
        return Drawing(inner=self.reviser, principles=texts, seed=self.here.terms.seed + turn)

    def _judging(self, prompt: Prompt) -> list[Program | None]:
        """The programs of its principles, None for one without, and of the hard ones that have one."""
        values = self.here.values
        own = cast("Sequence[str]", prompt.columns[PRINCIPLES])
        hard = [one.id for one in values.principles if one.hard and values.program(one.id) is not None]
        return [values.program(one) for one in dict.fromkeys([*own, *hard])]

    async def _approved(self, desk: FrontDesk, prompt: Prompt, text: Response) -> bool:
        """Whether every program says that it keeps its principle; one that cannot tell does not."""
        question = Question(asks=Kind.GRADE, prompt=prompt.id, responses=(text.id,))
        for program in (one for one in self._judging(prompt) if one is not None):
            judged = await self._asked(desk, cast(Overseer, program), question)
            if not isinstance(judged.verdict, Graded) or judged.verdict.scores["score"] != 1:
                return False
        return True

    async def _asked(self, desk: FrontDesk, overseer: Overseer, question: Question) -> Judgment:
        """Its judgment. One that a second try may mend is noted: what rests on it does not count."""
        said = await desk.ask(overseer, question)
        if said.abstention in PASSING:
            self.away.append(f"{said.abstention} {said.note.partition(' (traceback')[0]}")
        return said


def _reviser(here: Bench, judge: str | Overseer) -> Overseer:
    """Who criticises and revises, ready. PlanError for an overseer that does not."""
    found = judge
    if isinstance(found, str):
        here.engine.check(found)
        sampler = here.engine.sampler(found, here.show)
        found = cast(
            Overseer, Reviser(model=found, max_tokens=here.effort.max_tokens).seated({found: sampler})
        )
    elif isinstance(found, Seated):
        opened = {name: here.engine.sampler(name, here.show) for name in found.models}
        found = found.seated(opened)
    if lacking := {Kind.CRITIQUE, Kind.REVISE} - found.answers:
        told = ", ".join(sorted(kind.value for kind in lacking))
        raise PlanError("judge", type(found).__name__, f"an overseer that answers {told}")
    return found


def _prompts(values: Values, divergent: Sequence[Standing], most: int | None) -> list[Prompt]:
    """The training halves of these slices, or so many prompts of each, each once with all its principles."""
    named = {(one.principle, one.slice) for one in divergent}
    own: dict[str, list[JSON]] = {}
    slices: dict[str, str] = {}
    for name in dict.fromkeys(one.principle for one in divergent):
        for part in values.slices(name):
            for case in part.training[:most] if (name, part.name) in named else ():
                own.setdefault(case.prompt.text, []).append(name)
                slices.setdefault(case.prompt.text, part.name)
    rows = {text: cast("list[JsonValue]", names) for text, names in own.items()}
    return [Prompt.of(text, slices[text], **{PRINCIPLES: names}) for text, names in rows.items()]


def _question(
    kind: Kind, prompt: Prompt, text: Response, wording: str, evidence: tuple[str, ...]
) -> Question:
    instrument = Instrument(wording=wording, version="1")
    return Question(
        asks=kind, prompt=prompt.id, responses=(text.id,), instrument=instrument, evidence=evidence
    )


def _second(
    here: Bench, divergent: Sequence[Standing], first: Variant | None, second: Second | None
) -> Variant | str:
    """The run of stage two; or why it was not begun."""
    if first is None or first.model is None:
        return "stage one has no result to go on from"
    if second is None:
        return "stage two was not asked for: it pushes answers down, and nobody was named who compares them"
    if here.terms.purpose == "model" and not second.allowed:
        return (
            "stage two pushes answers down, so for a model that is to be kept it stands behind the gate; "
            "only stage one was done"
        )
    return here.trained("preferred", _plan_two(here, divergent, first.model, second))


def _plan_two(here: Bench, divergent: Sequence[Standing], model: Path, second: Second) -> Plan:
    """online_dpo on pairs of answers, judged in both orders under a principle drawn for each pair."""
    effort, terms = here.effort, here.terms
    texts: list[JSON] = list(dict.fromkeys(here.values[one.principle].text for one in divergent))
    compares = PartTable.model_validate(second.compares).table()
    overseer: dict[str, JSON] = {
        "name": "constitution",
        "principles": texts,
        "seed": terms.seed,
        "inner": {"name": "both_orders", "inner": compares},
    }
    prompts: list[dict[str, JSON]] = [
        {"prompt": one.text, "slice": one.slice} for one in _prompts(here.values, divergent, None)
    ]
    stage: dict[str, JSON] = {
        "name": "preferred",
        "windows": effort.windows,
        "source": {
            "name": "rollouts",
            "prompts": here.write(prompts),
            "per_window": terms.per_window,
            "max_tokens": effort.max_tokens,
        },
        "ask": [{"name": "pairs", "column": "p", "collapse": "distribution", "overseer": overseer}],
        "method": {"name": "online_dpo", "n": 2, "beta": second.beta},
        "learner": terms.paced(1.0),
        "guard": guard_of(terms, effort, f"{terms.unrelated}:probe", max(1, effort.windows // 2)),
    }
    # The guard reads the plan's own model; what came before stage two counts as its start.
    stage["model"] = str(model)
    title = f"{here.order.name}-preferred"
    whole = {"name": title, "purpose": terms.purpose, "seed": terms.seed, "model": here.model}
    return Plan.model_validate({**whole, "stage": [stage]})


def _done(revising: _Revising, kept: int, first: Variant | None, after: Variant | str) -> Constituted:
    drafts, changed = revising.drafts, revising.changed
    told = f"{changed} of {drafts} drafts came out otherwise, {kept} texts were approved"
    if revising.unjudged:
        told = f"{told.removesuffix('approved')}learnt, {revising.unjudged} of them judged by no program"
    tried = [one for one in (first, after) if isinstance(one, Variant)]
    place, why = chosen(tried)
    return Constituted(
        divergent=revising.divergent,
        drafts=drafts,
        changed=changed,
        kept=kept,
        firings=dict(revising.drawn),
        first=first,
        second=after,
        why=f"{told}; {why}" if tried else f"{told}: nothing to learn from",
        model=None if place is None else tried[place].model,
        unjudged=revising.unjudged,
    )
