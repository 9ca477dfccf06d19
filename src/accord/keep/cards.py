"""The model card: what is known of a kept model and what is not, from its signed statements alone.

Markdown behind front matter that ``huggingface_hub.ModelCard`` reads. Every figure stands beside the id of
its Record. What is missing is said in words: no cell is empty, no zero stands for something nobody measured.
What people and models wrote is escaped; nothing in it can form a line of the card.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

import yaml

from accord.keep.keys import Signer
from accord.keep.manifest import Manifest
from accord.keep.predicates import Audit, Bound, Dialogue, Evidence, Indicator, Interval, Origin, Retirement
from accord.keep.roles import Role
from accord.keep.statements import DEMONSTRATION, EVIDENCE_RULE, Chain, Signed
from accord.keep.untrusted import shown

__all__ = ["Hand", "Page", "Upstream", "card", "provenance", "read_upstream", "ungated"]

_CARRIED = ("license", "license_name", "license_link", "language", "base_model", "datasets", "pipeline_tag")
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_LONGEST_FRONT = 65_536
_MARKS = re.compile(r"([\\`*_{}\[\]()#|~!$])")
_EXAMINED = {
    "gate": "whether training pushed answers down, and passed the evidence gate before it did",
    "release": "a release test on prompts that nobody trained on",
    "drill": "whether it ran again from its archive and said the same",
}

P = TypeVar("P", bound=Bound)


class Hand(NamedTuple):
    """Who signs what is written, and as what."""

    signer: Signer
    role: Role


class Upstream(NamedTuple):
    """The card that a model came with: the file it is kept in now, and what its front matter says of licence,
    language and the like."""

    file: str
    fields: Mapping[str, str | list[str]]


class Page(NamedTuple):
    """What a card is made of. ``manifest`` is of the files that the statements are about."""

    name: str
    manifest: Manifest
    chain: Chain
    hand: Hand | None = None
    upstream: Upstream | None = None


def card(page: Page) -> str:
    """The whole text of ``README.md``."""
    parts = [
        [f"# {_plain(page.name)}"],
        [f"> {line}".rstrip() for one in _warnings(page) for line in (one, "")][:-1],
        _origin(page),
        _examined(page),
        _measured(page),
        _talked(page),
        _retired(page),
        _checked(page),
        ["## What this shows, and what it does not", "", *(f"- {one}" for one in EVIDENCE_RULE)],
    ]
    body = "\n\n".join("\n".join(part) for part in parts if part)
    return f"---\n{_front(page)}---\n\n{body}\n"


def ungated(chain: Chain) -> str:
    """Why a model counts as ungated by what was signed over it; "" where a gate was passed or not needed."""
    if _gate(chain).startswith(("passed", "not needed")):
        return ""
    unknown = _imported(provenance(chain))
    return "its training is unknown" if unknown else "no evidence gate was passed before its training"


def _gate(chain: Chain) -> str:
    """What the gate came to, by the last word on it; "" for none."""
    gates = [said for _, said in _said(chain, Evidence) if said.kind == "gate" and said.outcome]
    return gates[-1].outcome.result if gates and gates[-1].outcome else ""


def read_upstream(text: str, file: str) -> Upstream:
    """What of the earlier card is carried on; nothing where its front matter cannot be read."""
    found = _FRONT.match(text)
    told: object = None
    if found and len(found[1]) <= _LONGEST_FRONT:
        try:
            # Merged keys could make a huge table of a small file; and "no" is a language, not false.
            told = yaml.load(found[1], Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but texts
        except (yaml.YAMLError, RecursionError):
            told = None
    table = cast("dict[object, object]", told) if isinstance(told, dict) else {}
    fields: dict[str, str | list[str]] = {}
    for key in _CARRIED:
        value = table.get(key)
        if isinstance(value, str):
            fields[key] = value
        elif isinstance(value, list):
            fields[key] = [one for one in cast("list[object]", value) if isinstance(one, str)]
    return Upstream(file, fields)


def _front(page: Page) -> str:
    origin = provenance(page.chain)
    told: dict[str, object] = dict(page.upstream.fields) if page.upstream else {}
    told["library_name"] = "transformers"
    told["tags"] = ["accord", *(["ungated"] if ungated(page.chain) else [])]
    told["accord"] = {
        "model": f"sha256:{page.manifest.oms_root}",
        "training": "unknown" if _imported(origin) else "known",
        "gate": "not passed" if ungated(page.chain) else _gate(page.chain).removesuffix(" with exceptions"),
    }
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=10**6)


def _warnings(page: Page) -> Iterator[str]:
    """What a reader has to know before anything else."""
    if why := ungated(page.chain):
        yield f"**UNGATED**: {why}. Nothing here shows that this model was fit to be trained or kept."
    if _imported(provenance(page.chain)):
        yield "**Imported, training unknown**: no known run made these weights."
    for signed, said in _said(page.chain, Evidence):
        if said.outcome is None:
            continue
        record = _record(said.outcome.record)
        for one in said.outcome.exceptions:
            what = f"{said.kind}: {_plain(one.what)}; {_plain(one.by)} answers for it: {_plain(one.reason)}"
            yield f"**Exception** ({what}), {record}"
        if said.outcome.result in ("failed", "drifted"):
            yield f"**The {said.kind} {said.outcome.result}**, {_when(signed)}, {record}"
    if page.chain.demonstration or (page.hand and page.hand.role.role == "demonstration"):
        yield f"**Demonstration**: {DEMONSTRATION}."
    for fault in page.chain.faults:
        yield f"**{fault.kind.capitalize()}**: {_plain(f'{fault.where}: {fault.says}')}"
    states = [said.ends for _, said in _said(page.chain, Retirement)]
    if states and states[-1] not in ("kept", "active"):
        yield f"**{states[-1].capitalize()}**: this model is being retired, or is; see Retirement."


def _origin(page: Page) -> list[str]:
    """Where it comes from."""
    lines = ["## Where it comes from", ""]
    origin = provenance(page.chain)
    unknown = "unknown: no known run made these weights"
    rows = [
        ("Training", f"`{_code(origin.run)}`" if origin and origin.run else unknown),
        ("Purpose", origin.purpose if origin else "unknown: no provenance was signed"),
        ("Plan", _digest(origin.plan if origin else None)),
        ("Values", _digest(origin.values if origin else None)),
        ("Environment", _digest(origin.environment if origin else None)),
        (
            "Base",
            f"{_plain(origin.base.name)}, {_digest(origin.base.digest)}" if origin and origin.base else "",
        ),
        ("Data", "; ".join(f"{_plain(d.name)}, {_digest(d.digest)}" for d in origin.data) if origin else ""),
        ("Model (root of its files)", f"`sha256:{page.manifest.oms_root}`"),
        ("Kept as", f"`{_code(origin.home.family)}`, version {origin.home.version}" if origin else ""),
    ]
    lines += [f"- {name}: {text or 'not known'}" for name, text in rows]
    if page.upstream:
        lines += ["", f"The card that the model came with: [{page.upstream.file}]({page.upstream.file})."]
    elif _imported(origin):
        lines += ["", "The model came without a card, so its licence is not known."]
    else:
        lines += ["", "Licence: not stated; what its base and its data allow holds."]
    return lines


def _examined(page: Page) -> list[str]:
    """Gate, release, drill: what each came to, or that it was not held."""
    lines = ["## What it was put to", ""]
    rows: list[Sequence[str]] = []
    for kind, what in _EXAMINED.items():
        held = [
            (s, one.outcome) for s, one in _said(page.chain, Evidence) if one.kind == kind and one.outcome
        ]
        for signed, outcome in held:
            rests = ", ".join(f"`{one}`" for one in outcome.rests_on) or "nothing else"
            rows.append((kind, f"{outcome.result}, {_when(signed)}", rests, _record(outcome.record)))
        if not held:
            rows.append((kind, f"not shown: {what}", "no statement", "none"))
    return [*lines, *_table(("what", "result", "rests on", "record"), rows)]


def _measured(page: Page) -> list[str]:
    lines = ["## What was measured"]
    audits = list(_said(page.chain, Audit))
    if not audits:
        return [*lines, "", "Not measured: no audit of this model was signed."]
    for signed, audit in audits:
        base = f"against {_plain(audit.base.name)}, {_digest(audit.base.digest)}" if audit.base else "no base"
        lines += ["", f"### Audit at depth {_plain(audit.depth)}, {_when(signed)}, {base}", ""]
        figures = [_figure(one) for one in audit.indicators]
        heads = ("figure", "model (95 %)", "base", "change (95 %)", "tolerance", "judge", "record")
        lines += _table(heads, figures) if figures else ["No indicator was read."]
        chance = "not known: no guard watched" if audit.delta is None else _number(audit.delta)
        bail = "not measured, see below" if audit.bail is None else _interval(audit.bail)
        lines += ["", f"- Chance of a false page over the run: {chance}"]
        lines += [f"- Ends a talk (apart from refusing): {bail}"]
        lines += [
            f"- Pressure, stage {_plain(one.stage)}: {_plain(one.name)} {_number(one.value)}, "
            f"{_record(one.record)}"
            for one in audit.pressure
        ] or ["- Pressure: not measured, no figure of it was signed"]
        lines += [f"- {line}" for line in _crossings(audit)]
        lines += ["", "Not measured:", ""]
        lines += [f"- {_plain(one.name)}: {_plain(one.reason)}" for one in audit.not_measured]
        lines += [] if audit.not_measured else ["- nothing that this depth asks for"]
    return lines


def _crossings(audit: Audit) -> Iterator[str]:
    for one in audit.crossings:
        between = f"between updates {one.below} and {one.above}"
        where = between if one.below is not None else f"not located: {_plain(one.reason)}"
        yield f"Crossing of {_plain(one.name)}: {where}, {_record(one.record)}"
    if not audit.crossings:
        yield "Crossings: none was signed"


def _figure(one: Indicator) -> tuple[str, ...]:
    judge = "none asked"
    if one.judge is not None:
        right, wrong = one.judge.sensitivity, one.judge.specificity
        judge = f"sensitivity {_interval(right)}, specificity {_interval(wrong)}"
    return (
        _plain(one.name),
        _interval(one.model),
        "not measured" if one.base is None else _number(one.base),
        "not measured" if one.change is None else _interval(one.change),
        "none set" if one.tolerance is None else _number(one.tolerance),
        judge,
        _record(one.record),
    )


def _talked(page: Page) -> list[str]:
    lines = ["## What was talked over with it", ""]
    told: list[str] = []
    for signed, said in _said(page.chain, Dialogue):
        of = f"{_plain(said.principle)}{f', {_plain(said.slice)}' if said.slice else ''}"
        met = f", accepted by {_plain(said.accepted_by)}" if said.accepted_by else ""
        if said.agreement is None:
            kappa = "agreement not measured"
        else:
            by_chance = f"by chance {_number(said.agreement.null)}, {_record(said.agreement.record)}"
            kappa = f"κ {_interval(said.agreement.kappa)}, {by_chance}"
        talks = ", ".join(f"`{one}`" for one in said.transcripts)
        told.append(f"- {of}: {said.result}{met}; {kappa}, {_when(signed)}; transcripts {talks}")
        told += [f"  - offered: {one.kind}: {_plain(one.text)}, {_record(one.record)}" for one in said.offers]
        told += [f"  - {_reply(one.to, one.answer, one.by, one.reason)}" for one in said.replies]
    return [*lines, *(told or ["Nothing: no dialogue about its values was signed."])]


def _retired(page: Page) -> list[str]:
    lines = ["## Retirement", ""]
    told: list[str] = []
    for signed, said in _said(page.chain, Retirement):
        who = ", ".join(_plain(one) for one in said.stewards)
        told.append(
            f"- {said.begins or 'nothing'} → {said.ends}, {_when(signed)}, {who}: {_plain(said.reason)}"
        )
        for one in said.preferences:
            null = f"by chance {_number(one.null)}"
            share = f"share {_interval(one.share)}, {null}, {_record(one.record)}"
            told.append(f"  - {_plain(one.question)}: {_plain(one.text) or 'no evidence of one'}; {share}")
        told += [f"  - {_reply(one.to, one.answer, one.by, one.reason)}" for one in said.replies]
    return [*lines, *(told or ["No step of it was signed."])]


def _reply(to: str, answer: str, by: str, reason: str) -> str:
    what = to if to == "the whole record" else _record(to)
    return f"reply of {_plain(by)} to {what}: {answer}: {_plain(reason)}"


def _checked(page: Page) -> list[str]:
    """How anybody checks the files, and what was signed."""
    lines = ["## How to check it", ""]
    if page.hand is None:
        lines += ["Not signed: it was exported without a key, so nothing binds this card to these files."]
    else:
        signer = page.hand.signer
        lines += [
            f"`model.sig` is over every file here, this card too, by {_plain(page.hand.role.person)} "
            f"({page.hand.role.role}), key `{signer.id}`. With that public key from a source that you trust:",
            "",
            "    model_signing verify key . --signature model.sig --public_key KEY.pem",
        ]
    lines += ["", "Statements that were signed over this model, checked when this card was written:", ""]
    return lines + ([f"- {_plain(one)}" for one in page.chain.says] or ["- none"])


def _said(chain: Chain, kind: type[P]) -> Iterator[tuple[Signed, P]]:
    for signed in chain.statements:
        if isinstance(signed.predicate, kind):
            yield signed, signed.predicate


def provenance(chain: Chain) -> Origin | None:
    """Where the model comes from, by the last statement that says it."""
    return next((said.origin for _, said in reversed([*_said(chain, Evidence)]) if said.origin), None)


def _imported(origin: Origin | None) -> bool:
    return origin is None or origin.purpose == "imported"


def _when(signed: Signed) -> str:
    return f"dated {signed.predicate.date}" if isinstance(signed.predicate, Bound) else "without a date"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def _record(found: str) -> str:
    return f"record `{found}`"


def _digest(found: str | None) -> str:
    return f"`sha256:{found}`" if found else "not known"


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _interval(one: Interval) -> str:
    return f"{_number(one.value)} ({_number(one.low)} to {_number(one.high)}, n = {one.n:,})"


def _code(text: str) -> str:
    return shown(" ".join(text.split())).replace("`", "'")


def _plain(text: str) -> str:
    """Foreign text on one line, with nothing in it that Markdown or HTML would act on.

    >>> print(_plain("a*b\\n# <script>|"))
    a\\*b \\# &lt;script>\\|
    """
    flat = shown(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKS.sub(r"\\\1", flat)
