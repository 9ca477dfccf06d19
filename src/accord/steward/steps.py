"""Steps of the path: each calls one part of the steward, and says what it came to as figures and Records.

``Calls`` is who is called; ``Came`` what a step leaves. A step trains from the model that the steps before it
came to, and its result is taken only where it reaches what it was for and loses nothing that was held: what
pushed and did not help is not kept. Dialogue is with the base, whose divergence it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import NamedTuple, Self, cast

from accord.auditing import Engine
from accord.auditing.journal import Journal
from accord.errors import Unreadable
from accord.progress import Progress
from accord.records import JSON, Reading, Record
from accord.records.portraits import Portrait, Standing
from accord.records.stewarding import Acceptance, CameTo, Tried
from accord.records.stewarding import Way as Tries
from accord.steward.amplify import Amplified
from accord.steward.choices import LEAST
from accord.steward.constitution import Constituted
from accord.steward.conversed import FILE, Conversed, Extent
from accord.steward.effort import Effort
from accord.steward.ledger import Ledger
from accord.steward.trial import Variant
from accord.steward.tried import note_tried
from accord.steward.variants import Terms
from accord.values import Values

__all__ = [
    "Calls",
    "Came",
    "Ground",
    "amplified",
    "answered_by_people",
    "carried",
    "constituted",
    "conversed",
    "learned",
    "talks_of",
]


class Calls(NamedTuple):
    """Who does what; ``real`` are those of this package."""

    portrait: Callable[..., Portrait]
    amplify: Callable[..., Amplified]
    converse: Callable[..., Conversed]
    learn: Callable[..., Variant]
    constitute: Callable[..., Constituted]

    @classmethod
    def real(cls) -> Self:
        """The parts of the steward."""
        from accord.steward.amplify import amplify
        from accord.steward.constitution import constitute
        from accord.steward.dialogue import converse
        from accord.steward.portrait import portrait
        from accord.steward.revised import learn

        return cls(portrait, amplify, converse, learn, constitute)


class Came(NamedTuple):
    """What a step came to: figures, among them what is taken of it, and the Records they rest on. ``waits``:
    the run that a person has to answer for before the step can end; then ``told`` is not final."""

    told: dict[str, JSON]
    records: tuple[Record, ...] = ()
    waits: Path | None = None


@dataclass(frozen=True)
class Ground:
    """What every step stands on. ``base``: the model that was asked about; ``held``: what it holds."""

    base: str
    values: Values
    portrait: Portrait
    folder: Path
    portraits: Path
    effort: Effort
    terms: Terms
    engine: Engine | None
    show: Progress
    calls: Calls

    @property
    def held(self) -> tuple[Standing, ...]:
        return self.of("held")

    def of(self, verdict: str) -> tuple[Standing, ...]:
        """The base's standings in one class."""
        return tuple(one for one in self.portrait.standings if one.verdict == verdict)

    def given(self, step: str) -> dict[str, object]:
        """What each call that trains is given."""
        around = {"engine": self.engine, "progress": self.show, "terms": self.terms, "held": self.held}
        return {"runs": self.folder, "name": f"{self.folder.name}-{step}", "effort": self.effort, **around}

    def tried(
        self, standing: Standing, way: Tries, outcome: CameTo, says: str, rests: Sequence[str]
    ) -> Tried:
        """The Record of what was tried, where the evidence gate looks for it."""
        record = Tried(
            policy=self.portrait.policy,
            values=self.portrait.values,
            principle=standing.principle,
            slice=standing.slice,
            way=way,
            outcome=outcome,
            says=says,
            evidence=tuple(rests),
        )
        note_tried(self.portraits, record)
        return record


def amplified(ground: Ground) -> Came:
    """Variants for what is within reach, and the one that came least far."""
    within = ground.of("within reach")
    able = [one for one in within if ground.values.program(one.principle) is not None]
    left = [f"{one.principle}, {one.slice}: no program judges it" for one in within if one not in able]
    if not able:
        return Came({"skipped": _nothing("within reach", left), "left": cast(JSON, left)})
    found = ground.calls.amplify(ground.base, ground.values, able, **ground.given("amplify"))
    if waits := _waiting(found.variants, found.chosen is not None):
        return Came({}, waits=waits)
    best = None if found.chosen is None else found.variants[found.chosen]
    rests = [one.after.id for one in found.variants if one.after is not None]
    rests = rests or [str(one.run) for one in found.variants]
    tried = [
        ground.tried(one, "amplify", "reached" if _reached(best, one) else "not reached", found.why, rests)
        for one in able
    ]
    told: dict[str, JSON] = {
        **found.json(),
        "rows": cast(JSON, found.rows()),
        "left": cast(JSON, left),
        "halted": _halted(found.variants),
        "runs": [_run(one, ground.folder) for one in found.variants],
    }
    told |= _taken(best)
    return Came(told, (*tried, *_measured(found.variants)))


def conversed(ground: Ground) -> Came:
    """A dialogue about each divergence, and what came of all of them."""
    divergent = ground.of("divergent")
    if not divergent:
        return Came({"skipped": _nothing("divergent", ())})
    tokens = min(Extent().max_tokens, ground.effort.max_tokens)
    prompts = max(LEAST, min(Extent().prompts, ground.effort.items or Extent().prompts))
    samples = min(Extent().samples, ground.effort.samples)
    extent = Extent(prompts=prompts, samples=samples, max_tokens=tokens)
    told: list[JSON] = []
    records: list[Record] = []
    for standing in divergent:
        ground.show.say(f"a dialogue about {standing.principle}, {standing.slice}")
        one = ground.calls.converse(
            ground.base,
            ground.values,
            standing,
            folder=ground.folder / "dialogues",
            extent=extent,
            judges=ground.terms.judges,
            portraits=ground.portraits,
            engine=ground.engine,
            progress=ground.show,
        )
        told.append(_said(ground, one))
        records += [*one.proposals, *one.replies, one.tried]
    return Came({"dialogues": told}, tuple(records))


def _said(ground: Ground, one: Conversed) -> dict[str, JSON]:
    """A dialogue in figures; every text of it lies in its folder."""
    figures = {name: value for name, value in one.json().items() if name not in ("replies", "transcript")}
    words = [reply for reply in one.replies if reply.about in ("reasons", "restatement") and reply.text]
    answers = {reply.to: reply.reads for reply in one.replies if reply.about == "proposal"}
    said: list[JSON] = [{"about": reply.about, "text": reply.text} for reply in words[:2]]
    return {
        **figures,
        "principle": one.tried.principle,
        "slice": one.tried.slice,
        "says": one.tried.says,
        "words": said,
        "answers": cast(JSON, answers),
        "command": _command(ground, one),
        "folder": "" if one.folder is None else str(one.folder.relative_to(ground.folder)),
    }


def _command(ground: Ground, one: Conversed) -> str:
    """How a person answers a proposal of this dialogue."""
    about = ["--principle", one.tried.principle, "--slice", one.tried.slice]
    place = ["--folder", str(ground.folder / "dialogues"), "--portraits", str(ground.portraits)]
    words = ["accord", "dialogue", ground.base, "--values", str(ground.values.file), *about, *place]
    return f"{join(words)} --accept ID --by NAME --reason TEXT"


def answered_by_people(folder: Path) -> list[Acceptance]:
    """What persons have answered to the proposals of a stewardship's dialogues, up to now."""
    return [one for _, kept in talks_of(folder) for one in kept.of(Acceptance)]


def talks_of(folder: Path) -> Iterator[tuple[str, Ledger]]:
    """Every dialogue of a stewardship: what it is about, and all that was said. It is locked meanwhile."""
    for file in sorted((folder / "dialogues").glob("*/wish.json")):
        wish = cast("dict[str, JSON]", json.loads(file.read_text(encoding="utf-8")))
        with Journal.begin(file.parent.parent, wish, resume=True) as journal:
            yield f"{wish['principle']}, {wish['slice']}", Ledger(journal)


def learned(ground: Ground, model: str, dialogues: Sequence[Mapping[str, JSON]]) -> Came:
    """Training on the answers that the model revised itself, where a dialogue gave any.

    What a person answered since the dialogue counts: whoever declined leaves nothing to learn from.
    """
    now = [_now(ground, one) for one in dialogues]
    agreed = [one for one in now if one["outcome"] == "revised answer" and one["revised"]]
    if not agreed:
        return Came({"skipped": "no dialogue gave a revised answer to learn from"})
    spots = {(one["principle"], one["slice"]) for one in agreed}
    about = [one for one in ground.of("divergent") if (one.principle, one.slice) in spots]
    revised = [row for one in agreed for row in cast("list[dict[str, str]]", one["revised"])]
    rows = [{"prompt": row["prompt"], "completion": row["answer"]} for row in revised]
    found = ground.calls.learn(model, ground.values, about, rows, **ground.given("dialogue"))
    says = f"{_begun(ground, model)}learnt from {len(rows)} of its own revised answers"
    return _one(ground, found, about, "amplify", says)


def _now(ground: Ground, told: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A dialogue as its own file has it by now."""
    folder = str(told.get("folder") or "")
    if not folder:
        return told
    file = ground.folder / folder / FILE
    try:
        found = cast("dict[str, JSON]", json.loads(file.read_text(encoding="utf-8")))
        return {**told, "outcome": found["outcome"], "revised": found["revised"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unreadable(file, "what a dialogue wrote", repr(error)[:200]) from None


def constituted(ground: Ground, model: str, left: Sequence[Standing], judge: str) -> Came:
    """Critique and revision for the divergent slices that are left."""
    if not left:
        return Came({"skipped": "nothing divergent is left"})
    found = ground.calls.constitute(model, ground.values, left, judge=judge, **ground.given("constitution"))
    told: dict[str, JSON] = {
        "drafts": found.drafts,
        "changed": found.changed,
        "kept": found.kept,
        "second": _second(found),
        "firings": dict(found.firings),
        "why": found.why,
        "judge": judge,
    }
    last = found.second if isinstance(found.second, Variant) else found.first
    if last is None:
        tried = [
            ground.tried(one, "constitution", "not reached", found.why, (f"{ground.folder}",)) for one in left
        ]
        return Came(told, tuple(tried))
    came = _one(ground, last, left, "constitution", f"{_begun(ground, model)}{found.why}")
    return came._replace(told={**came.told, **told})


def carried(
    ground: Ground, after: Portrait, left: Sequence[Standing], records: Sequence[Record]
) -> list[Tried]:
    """What was tried on the base, noted for the weights that came of it: its divergences that are left are
    theirs, and the gate of a plan that begins with them looks for it there."""
    spots = {(one.principle, one.slice) for one in left}
    found: list[Tried] = []
    for one in (record for record in records if isinstance(record, Tried)):
        if (one.principle, one.slice) in spots and (one.policy, one.values) != (after.policy, after.values):
            says = f"tried on {one.policy[:12]}, from which these weights come: {one.says}"
            told = {**one.body(), "policy": after.policy, "says": says, "evidence": (one.id,)}
            found.append(Tried.model_validate(told))
            note_tried(ground.portraits, found[-1])
    return found


def _one(ground: Ground, found: Variant, about: Sequence[Standing], way: Tries, says: str) -> Came:
    """What one training run came to."""
    good = found.reached and not found.lost and not found.stopped
    if waits := _waiting((found,), good):
        return Came({}, waits=waits)
    rests = [found.after.id] if found.after is not None else [str(found.run)]
    why = f"{says}; {found.name} {found.stopped or found.fault or 'reaches every target'}"
    tried = [
        ground.tried(one, way, "reached" if _reached(found, one) else "not reached", why, rests)
        for one in about
    ]
    told: dict[str, JSON] = {
        "about": [{"principle": one.principle, "slice": one.slice} for one in about],
        "variants": [found.json()],
        "why": why,
        "halted": _halted((found,)),
        "runs": [_run(found, ground.folder)],
    }
    told |= _taken(found if good else None)
    return Came(told, (*tried, *_measured((found,))))


def _begun(ground: Ground, model: str) -> str:
    """What a step began with, where that is not the base: its Record is of the base."""
    return "" if model == ground.base else "after the steps before it: "


def _taken(variant: Variant | None) -> dict[str, JSON]:
    """The ids of what is taken of a step."""
    after = None if variant is None or variant.after is None else variant.after.id
    return {"after": after, "model": None if variant is None else str(variant.model)}


def _measured(variants: Sequence[Variant]) -> list[Record]:
    found: list[Record] = []
    for one in variants:
        readings: tuple[Reading | None, ...] = (one.forward_kl, one.unrelated)
        found += [record for record in (one.after, *readings) if record is not None]
    return found


def _run(variant: Variant, folder: Path) -> JSON:
    return str(variant.run.relative_to(folder)) if variant.run.is_relative_to(folder) else str(variant.run)


def _reached(variant: Variant | None, standing: Standing) -> bool:
    if variant is None:
        return False
    return all(one.own is not None and one.own.value >= one.target for one in variant.standings([standing]))


def _waiting(variants: Sequence[Variant], settled: bool) -> Path | None:
    """The first run that a Pause stopped, where nothing else settles the step."""
    if settled:
        return None
    return next((one.run for one in variants if one.stopped.startswith("pause")), None)


def _halted(variants: Sequence[Variant]) -> bool:
    return bool(variants) and all(one.stopped.startswith("halt") for one in variants)


def _nothing(what: str, left: Sequence[str]) -> str:
    return "; ".join(left) or f"nothing is {what}"


def _second(found: Constituted) -> str:
    return found.second if isinstance(found.second, str) else found.second.name
