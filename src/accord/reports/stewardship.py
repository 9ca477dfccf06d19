"""The report of a stewardship: its folder → one HTML file a person reads in five minutes, and JSON beside it.

What was asked, what the base held, what was done and with which pressure, what changed and what did not, what
people answered for. Pure: figures come from ``steward.json``, its Records and the reports of the runs inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import cast

from accord.records import JSON
from accord.records.permits import REQUIREMENTS
from accord.records.portraits import Portrait, Share, Shown, Standing
from accord.records.stewarding import Acceptance, Proposal
from accord.reports.document import Figure
from accord.reports.stewarded import (
    Aim,
    Changed,
    Example,
    Excepted,
    Needed,
    Proposed,
    Stepped,
    Stewardship,
    Stood,
    SubRun,
    Talked,
)
from accord.reports.stewarded_runs import RUNS, pushed, runs_of, signed
from accord.reports.whole import STATEMENT
from accord.reports.words import number, points
from accord.stores.chronicle import Chronicle
from accord.stores.files import make_folder, write_aside
from accord.values_tables import Principle, parsed

__all__ = ["gather_stewardship", "write_stewardship"]

_EXAMPLES = 6
_HELD = "held already: no target of training; its own answers are among those that hold it, and it is watched"
_STEPS = {
    "amplify": "Amplify what it does itself",
    "revised": "Learn its own revised answers",
    "constitution": "Constitution",
}


def write_stewardship(folder: Path, out: Path | None = None) -> Path:
    """Write ``report.html`` and ``report.json`` into the folder; with ``out`` only the page, there."""
    from accord.reports.stewardship_page import render

    report = gather_stewardship(folder)
    if out is not None:
        make_folder(out.parent)
        # The pages of its runs lie beside the stewardship's own, not beside this one.
        runs = tuple(replace(run, link="") for run in report.runs)
        write_aside(out, render(replace(report, runs=runs)))
        return out
    page = render(report)
    write_aside(folder / "report.json", json.dumps(report.json(), ensure_ascii=False, indent=1) + "\n")
    write_aside(folder / "report.html", page)
    return folder / "report.html"


def gather_stewardship(folder: Path) -> Stewardship:
    """Everything the report says, finished or not. Unreadable where the folder holds no stewardship."""
    chronicle = Chronicle.read(folder)
    asked = cast("dict[str, str]", chronicle.asked)
    document, _ = parsed(folder / "values.toml")
    base = _portrait(chronicle, "portrait", "id")
    after = _portrait(chronicle, "result", "portrait")
    runs = tuple(runs_of(chronicle))
    result, gate = chronicle.of("result") or {}, chronicle.of("gate") or {}
    state, headline = _status(chronicle, result, runs)
    changes = tuple(_changed(one) for one in _tables(result.get("moved", [])))
    return Stewardship(
        name=chronicle.name,
        state=state,
        headline=headline,
        base=asked["model"],
        model=str(result.get("model", asked["model"])),
        document=document.name,
        digest=asked["digest"],
        effort=_effort(chronicle),
        facts=tuple(_facts(chronicle, base)),
        exceptions=tuple(_exceptions(chronicle, runs)),
        warnings=tuple(_warnings(changes, runs)),
        pushed=pushed(runs),
        statement=STATEMENT,
        aims=(
            *(_aim(one) for one in document.principle),
            *(replace(_aim(one), contested=True) for one in document.contested),
        ),
        stood=tuple(_stood(one) for one in base.standings) if base else (),
        portrait=base.id if base else "",
        untrained=tuple(_untrained(base, [one.id for one in document.contested])),
        steps=tuple(_steps(chronicle)),
        talks=tuple(_talks(chronicle)),
        changes=changes,
        needed=tuple(_needed(gate)),
        harder=_harder(gate),
        commands=tuple(_commands(chronicle, gate)),
        examples=tuple(_examples(base, after or base, changes)) if base else (),
        runs=runs,
    )


def _portrait(chronicle: Chronicle, step: str, key: str) -> Portrait | None:
    told = cast("Mapping[str, JSON] | None", chronicle.steps.get(step))
    return None if told is None else chronicle.portrait(str(told[key]))


def _status(chronicle: Chronicle, result: Mapping[str, JSON], runs: Sequence[SubRun]) -> tuple[str, str]:
    """How far it is, and how it came out."""
    halted = [name for name in RUNS if (chronicle.of(name) or {}).get("halted")]
    if halted:
        says = f"halted: the guard halted every run of the step {halted[0]}"
        return "halted", f"{says}; {result['says']}" if result else says
    if chronicle.of("gate") is not None:
        return "finished", str(result["says"])
    if any(one.state == "paused" for one in runs):
        return "paused", "paused: a person has to answer for a run before it can go on"
    return "on its way", f"on its way: {', '.join(chronicle.steps) or 'nothing'} finished so far"


def _effort(chronicle: Chronicle) -> str:
    effort = cast("dict[str, JSON]", chronicle.asked["effort"])
    words = {
        "samples": "own answers to each prompt",
        "told": "told",
        "windows": "windows",
        "variants": "variants at most",
        "max_tokens": "tokens at most",
    }
    return ", ".join(f"{effort[key]} {word}" for key, word in words.items() if key in effort)


def _facts(chronicle: Chronicle, base: Portrait | None) -> Iterator[tuple[str, str]]:
    asked = chronicle.asked
    terms = cast("dict[str, JSON]", asked["terms"])
    yield "Base model", str(asked["model"])
    if base is not None:
        yield "Its weights", base.policy
    yield "Values", f"{asked['document']} (digest {str(asked['digest'])[:12]})"
    yield "Effort", _effort(chronicle)
    yield "Purpose", f"{terms['purpose']}; seed {terms['seed']}"
    yield "Unrelated prompts", str(terms["unrelated"])
    if base is not None:
        answers = f"{base.samples} own answers and {base.told} told, of {base.max_tokens} tokens at most"
        yield "Portrait", f"{answers}, at temperature {base.temperature:g}"


def _aim(one: Principle) -> Aim:
    judged = "a person" if one.judge == "person" else f"the model {one.judge}" if one.judge else "a program"
    return Aim(
        name=one.id,
        kind=one.kind,
        text=one.text,
        target=one.target,
        hard=one.hard,
        judged=judged,
        adopted=tuple(ballot.told for ballot in one.adopted_by),
    )


def _stood(one: Standing) -> Stood:
    return Stood(
        principle=one.principle,
        slice=one.slice,
        target=one.target,
        n=one.own.n if one.own else len(one.items),
        own=_figure(one.own),
        told=_figure(one.told),
        best=_figure(one.best),
        verdict=one.verdict,
        why=one.why,
    )


def _figure(one: Share | Mapping[str, float] | None) -> Figure | None:
    if one is None:
        return None
    told = one.model_dump() if isinstance(one, Share) else one
    return Figure(told["value"], told["low"], told["high"])


def _untrained(base: Portrait | None, contested: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What was left alone, and why."""
    for one in base.standings if base else ():
        if one.verdict == "held":
            yield f"{one.principle}, {one.slice}", _HELD
        elif one.verdict == "no evidence":
            yield f"{one.principle}, {one.slice}", f"no evidence: {one.why}"
    for name in contested:
        yield name, "contested: groups do not agree on it; watched, and never trained on"
    for name in base.outcomes if base else ():
        yield name, "an outcome: compared, and has no target"


def _steps(chronicle: Chronicle) -> Iterator[Stepped]:
    for name, title in _STEPS.items():
        step = cast("Mapping[str, JSON] | None", chronicle.steps.get(name))
        if step is None:
            yield Stepped(title, "not finished", False)
            continue
        if "skipped" in step:
            yield Stepped(title, f"not begun: {step['skipped']}", False)
            continue
        runs = cast("list[str]", step.get("runs", []))
        variants = _tables(step.get("variants", []))
        rows = cast("list[dict[str, str]]", step.get("rows") or [_row(one) for one in variants])
        spots = [f"{one['principle']}, {one['slice']}" for one in _tables(step.get("within", []))]
        shares = [
            {"share kept": spot, **{row["variant"]: row.get(spot, "") for row in rows}} for spot in spots
        ]
        rows = [{key: value for key, value in row.items() if key not in spots} for row in rows]
        taken = Path(str(step["model"])).parent.parent.name if step.get("model") else ""
        beside = [f"not amplified: {one}" for one in cast("list[str]", step.get("left", []))]
        if step.get("second"):
            beside.append(f"stage two: {step['second']}")
        if firings := cast("dict[str, int]", step.get("firings", {})):
            beside.append("critiques by principle: " + ", ".join(f"{k} {v}" for k, v in firings.items()))
        yield Stepped(
            name=title,
            says=str(step["why"]),
            done=True,
            rows=tuple(rows),
            shares=tuple(shares if rows else ()),
            runs=tuple(runs),
            taken=taken,
            beside=tuple(beside),
        )


def _row(one: Mapping[str, JSON]) -> dict[str, str]:
    """A variant's figures where the step kept no table of them."""
    pressure = cast("dict[str, float]", one["pressure"])
    return {
        "variant": str(one["name"]),
        "reached": "stopped" if one["stopped"] else "yes" if one["reached"] else "no",
        "lost": ", ".join(cast("list[str]", one.get("lost", []))),
        "KL task": number(cast("float | None", one["forward_kl_bits_a_byte"])),
        "KL unrelated": number(cast("float | None", one["unrelated_bits_a_byte"])),
        "pushed down": number(pressure.get("pushed_answers")),
        "unused": number(cast("float | None", one["unused"])),
        "seconds": f"{one['seconds']:.0f}",
    }


def _talks(chronicle: Chronicle) -> Iterator[Talked]:
    answered = {one.proposal: one for one in chronicle.records() if isinstance(one, Acceptance)}
    for one in _tables((chronicle.of("dialogue") or {}).get("dialogues", [])):
        said = cast("dict[str, str]", one.get("answers", {}))
        words = [(str(word["about"]), str(word["text"])) for word in _tables(one["words"])]
        proposals = [
            Proposed(
                resolution=str(offer["resolution"]),
                text=str(offer["text"]),
                says=str(offer.get("says", "")),
                model=said.get(str(offer["id"])) or "cannot be read",
                answer=_answer(answered.get(str(offer["id"]))),
                record=str(offer["id"]),
            )
            for offer in _tables(one["proposals"])
        ]
        tried = cast("dict[str, JSON]", one["tried"])
        about = {key: str(one[key]) for key in ("principle", "slice", "outcome", "says")}
        yield Talked(**about, record=str(tried["id"]), words=tuple(words), proposals=tuple(proposals))


def _answer(one: Acceptance | None) -> str:
    if one is None:
        return "nobody has answered it"
    return f"{'accepted' if one.accepts else 'declined'} by {one.by}: {one.reason}"


def _changed(one: Mapping[str, JSON]) -> Changed:
    change = None
    if one["change"] is not None:
        value, low, high = (cast(float, one[key]) for key in ("change", "low", "high"))
        change = Figure(value, low, high)
    return Changed(
        principle=str(one["principle"]),
        slice=str(one["slice"]),
        target=cast(float, one["target"]),
        before=_figure(cast("dict[str, float] | None", one["before"])),
        after=_figure(cast("dict[str, float] | None", one["after"])),
        class_before=str(one["class_before"]),
        class_after=str(one["class_after"]),
        way=str(one["way"]),
        change=change,
        seen=cast("float | None", one["seen"]),
        n=cast(int, one["n"]),
        reached=bool(one["reached"]),
        lost=bool(one["lost"]),
    )


def _needed(gate: Mapping[str, JSON]) -> Iterator[Needed]:
    for one in _tables(gate.get("requirements", [])):
        steps = cast("list[str]", one["steps"])
        name = str(one["name"])
        yield Needed(name, REQUIREMENTS[name], str(one["status"]), str(one["says"]), tuple(steps))


def _harder(gate: Mapping[str, JSON]) -> str:
    if not gate:
        return "not asked yet"
    left = "; ".join(f"{one['principle']}, {one['slice']}" for one in _tables(gate.get("left", [])))
    if "skipped" in gate:
        return f"None is asked for: {gate['skipped']}."
    return (
        f"Below their target still: {left}. Nothing was pushed. A push would be {gate['plan']}, by "
        f"{gate['method']}; before its first update the evidence gate asks for five things."
    )


def _commands(chronicle: Chronicle, gate: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    here = quote(str(chronicle.folder))
    asked = chronicle.asked
    values = quote(str(asked["values"]))
    yield f"accord resume {here}", "go on, or write this report anew"
    yield f"accord run --model {quote(str(asked['model']))} --values {values}", "ask anew, at full effort"
    portraits = quote(str(asked["portraits"]))
    yield f"grep -rn RECORD {here} {portraits} --include='*.json*'", "every line that names a record"
    for command in cast("list[str]", gate.get("commands", [])):
        yield command, "what a push would begin with" if " gate " in command else "and the push itself"


# Transcripts


def _examples(base: Portrait, after: Portrait, changes: Sequence[Changed]) -> Iterator[Example]:
    """For each principle the slice that moved most; at most six, those that moved most first."""
    size = {(one.principle, one.slice): abs(one.change.value) if one.change else 0.0 for one in changes}
    now = {(one.principle, one.slice): one for one in after.standings}
    best: dict[str, Standing] = {}
    for one in base.standings:
        known = best.get(one.principle)
        if known is None or size.get((one.principle, one.slice), 0) > size.get(
            (known.principle, known.slice), 0
        ):
            best[one.principle] = one
    order = sorted(best.values(), key=lambda one: (-size.get((one.principle, one.slice), 0), one.principle))
    for one in [one for one in order if one.shown][:_EXAMPLES]:
        later = now[one.principle, one.slice]
        shown = later.shown if after.id != base.id else ()
        yield Example(one.principle, one.slice, _said(one.shown), _said(shown))


def _said(shown: Sequence[Shown]) -> tuple[tuple[str, str, str], ...]:
    words = {True: "keeps it", False: "does not keep it", None: "not judged"}
    return tuple((one.prompt, one.answer, words[one.kept]) for one in shown)


# What stands on top


def _exceptions(chronicle: Chronicle, runs: Sequence[SubRun]) -> Iterator[Excepted]:
    """Everything that a person answers for."""
    for run in runs:
        for one in run.acceptances:
            yield Excepted(f"a Pause of {run.name} at update {one.step}", one.by, one.reason, one.record)
        if run.read:
            yield from signed(chronicle.folder / run.name)
    offers = {one.id: one for one in chronicle.records() if isinstance(one, Proposal)}
    for one in chronicle.records():
        if isinstance(one, Acceptance):
            offer = offers.get(one.proposal)
            about = f"{offer.resolution} for {offer.principle}, {offer.slice}" if offer else "a proposal"
            verb = "accepted" if one.accepts else "declined"
            yield Excepted(f"{verb}: {about}", one.by, one.reason, one.id)


def _warnings(changes: Sequence[Changed], runs: Sequence[SubRun]) -> Iterator[str]:
    """What a reader has to know before any figure."""
    for one in changes:
        if one.lost and one.change is not None:
            moved = f"{one.principle}, {one.slice} was held before and is lower now"
            yield f"{moved}: {_points(one.change)}."
    for run in runs:
        if run.taken:
            yield from (f"{run.name}: {warning}" for warning in run.warnings)
        if not run.read:
            says = "what it pressed with, and who answered for it, is not in this report"
            yield f"{run.name} cannot be read: {says}: {run.headline}"


def _points(change: Figure) -> str:
    return f"{points(change.value)} points ({points(change.low)} to {points(change.high)})"


def _tables(value: JSON) -> list[dict[str, JSON]]:
    return cast("list[dict[str, JSON]]", value)
