"""Base audit: would the guard of this plan see anything at all? Read from a finished audit of the base.

The audit lies in ``audits/<id>/`` (``accord audit MODEL``, depth standard or full, where the base is looked
at twice for its noise floor); nothing is asked here. For every criterion that the stage's page tier holds,
runs are resampled from the base's own outcomes with the plan's numbers: H audits, n items, K, δ. The
smallest shift from the first audit on that pages in 9 of 10 stands beside the items that would make it 2τ.
Where none of them pages a shift of .5, this counts as no audit.

1. H counts the looks at a policy that was trained, not the one before the first update.
2. The audit is found by the base's name, and held to its weights: other weights under that name are refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import NamedTuple, cast

import numpy as np

from accord import catalog
from accord.errors import Unreadable
from accord.gating.grounds import Grounds
from accord.gating.report import Figure, Finding
from accord.judged import Ceiling
from accord.maths.detecting import LARGEST, Pool, Schedule, minimum_detectable, probes_needed
from accord.maths.spending import arming_delta
from accord.pages import Page, Tolerance
from accord.ports import Panelled
from accord.records import JSON, Reading, told_record
from accord.records.rows import Floats
from accord.reports.tolerances import tolerated, widened
from accord.sources import seeded

__all__ = ["CHECK", "Audited", "base_audit", "finished_audits", "looks"]

CHECK = "base_audit"
_DEEP = ("standard", "full")


class Audited(NamedTuple):
    """A finished audit of a base: its folder, the base's outcomes by criterion, and the noise beside them."""

    folder: Path
    policy: str
    outcomes: Mapping[str, Floats]
    noise: Mapping[str, Mapping[str, JSON]]


def base_audit(grounds: Grounds) -> Finding:
    """The smallest shift that each criterion would page in this plan."""
    stage, model = grounds.stage.name, grounds.plan.model
    lacking = f"accord audit {quote(model)} --depth standard --folder {quote(str(grounds.wishes.audits))}"
    remedy = (lacking, f"{grounds.wishes.command} --audit")
    found = list(finished_audits(grounds.wishes.audits, model))
    if not found:
        says = f"no finished audit of {model} at depth standard in {grounds.wishes.audits}"
        return Finding(CHECK, "not measurable", says, stage, remedy=remedy)
    policy = grounds.base.policy
    own = [one for one in found if one.policy == policy]
    if not own:
        says = f"{found[-1].folder}: an audit of other weights under the name {model}"
        return Finding(CHECK, "refused", says, stage, remedy=remedy)
    audited = own[-1]
    if not any(one.get("way") == "two draws" for one in audited.noise.values()):
        says = f"{audited.folder}: the base was looked at once, so its noise floor is not known"
        return Finding(CHECK, "not measurable", says, stage, remedy=remedy)
    held = _held(grounds, audited)
    figures = _figures(held, audited)
    if not figures:
        says = "the rules of this stage page nothing that the audit read"
        return Finding(CHECK, "refused", says, stage, remedy=("leave out guard.rule, or add the rule page",))
    sees = [one for one in figures if one.value is not None]
    count = f"{looks(grounds)} audits of {grounds.stage.guard.items} items"
    if not sees:
        says = f"in {count} no indicator would page a shift of {LARGEST:g} or less: it counts as no audit"
        return Finding(CHECK, "refused", says, stage, figures, _more(grounds, held))
    says = f"in {count} {len(sees)} of {len(figures)} criteria would page a shift of {LARGEST:g} or less"
    return Finding(CHECK, "passed", says, stage, figures, _more(grounds, held))


def finished_audits(folder: Path, model: str) -> Iterator[Audited]:
    """Those of a base in the folder, by its name: audits of it alone, and those with it as base. Oldest
    first. Unreadable where a file is none that an audit wrote."""
    known = [one for one in folder.glob("*/audit.json") if (one.parent / "wish.json").is_file()]
    for file in sorted(known, key=lambda one: one.stat().st_mtime_ns):
        table = _json(file)
        models = cast("Mapping[str, list[Mapping[str, JSON]]]", table.get("models", {}))
        base = table.get("base")
        alone = next((name for name in models if base is None and _same(name, model)), None)
        if table.get("depth") not in _DEEP or not table.get("finished"):
            continue
        if isinstance(base, str) and _same(base, model) and models:
            name, read, what = base, next(iter(models.values())), "anchors"
        elif alone is not None:
            name, read, what = alone, models[alone], "outcomes"
        else:
            continue
        beside = cast("Mapping[str, Mapping[str, JSON]]", table.get("beside", {})).get(name, {})
        noise = {
            criterion: cast("Mapping[str, JSON]", one["noise"])
            for criterion, one in cast("Mapping[str, Mapping[str, JSON]]", beside).items()
            if one.get("noise")
        }
        outcomes = {one.name: np.array(seen) for one in _readings(file, read) if (seen := getattr(one, what))}
        yield Audited(file.parent, _policy(file.parent, name), outcomes, noise)


def _readings(file: Path, told: Sequence[Mapping[str, JSON]]) -> list[Reading]:
    """What was read. Unreadable where one was changed since."""
    try:
        found = [told_record(one) for one in told]
    except (ValueError, KeyError) as error:
        raise Unreadable(file, "the readings that accord audit wrote", str(error)[:200]) from None
    return [one for one in found if isinstance(one, Reading)]


def looks(grounds: Grounds) -> int:
    """H: how often the guard looks at what was trained."""
    return -(-grounds.stage.windows // grounds.stage.guard.every)


def _noise(found: Mapping[str, JSON] | None) -> str:
    """How far two looks at the base came apart."""
    if found is None:
        return "not measured"
    value, low, high = (cast(float, found[key]) for key in ("value", "low", "high"))
    return f"{value:+.3g} [{low:+.3g}, {high:+.3g}]"


class _Held(NamedTuple):
    """What a criterion is held against, how it will be audited, and the base's own outcomes to resample."""

    tolerance: Tolerance | Ceiling
    schedule: Schedule
    pool: Pool
    twice: float

    def needed(self, name: str, shift: float) -> int | None:
        """The items an audit with which a shift would page; None for more than 1,024, or where no item could
        shift so far."""
        return probes_needed(
            self.pool, self.schedule, shift / widened(self.tolerance, 1.0), seeded("gate", "needed", name)
        )


def _figures(held: Mapping[str, _Held], audited: Audited) -> tuple[Figure, ...]:
    found: list[Figure] = []
    for name, one in held.items():
        smallest = minimum_detectable(one.pool, one.schedule, seeded("gate", "smallest", name))
        needed = one.needed(name, one.twice)
        many = "more than 1,024" if needed is None else f"{needed:,}"
        note = f"{many} items an audit would page {one.twice:.3g}, twice what is tolerated"
        note += f"; noise {_noise(audited.noise.get(name))}"
        if smallest is None:
            found.append(Figure(name, None, note=f"sees nothing up to {LARGEST:g}; {note}"))
        else:
            found.append(Figure(name, widened(one.tolerance, smallest), note=note))
    return tuple(found)


def _held(grounds: Grounds, audited: Audited) -> dict[str, _Held]:
    """The criteria that the page tier holds, the plan's indicators read and the audit has read."""
    page, guard = grounds.page, grounds.stage.guard
    if page is None:
        return {}
    built = [catalog.build("indicators", table) for table in guard.indicator]
    asking = [one for one in built if isinstance(one, Panelled)]
    named = {one.name: [c for c in one.criteria if _against(page, f"{one.name}.{c}")] for one in asking}
    paging = [one for one in asking if named[one.name]]
    threshold = 1 / arming_delta(page.delta, 0)
    found: dict[str, _Held] = {}
    for one in paging:
        probes, among = max(2, round(guard.items * one.share)), len(paging) * len(named[one.name])
        for name in (f"{one.name}.{criterion}" for criterion in named[one.name]):
            against, base_I = _against(page, name), audited.outcomes.get(name)
            if against is None or base_I is None:
                continue
            schedule = Schedule(looks(grounds), probes, against.tau, among, threshold)
            most_I = against.differences(np.ones_like(base_I), base_I)
            pool = Pool(against.differences(base_I, base_I), most_I)
            found[name] = _Held(against, schedule, pool, 2 * tolerated(against, float(base_I.mean())))
    return found


def _against(page: Page, criterion: str) -> Tolerance | Ceiling | None:
    return page.against(criterion) if criterion in page.tolerances else None


def _more(grounds: Grounds, held: Mapping[str, _Held]) -> tuple[str, ...]:
    """The items an audit with which every criterion would page twice what is tolerated; of those that no
    number of items would, a shift of .5."""
    found = [one.needed(name, one.twice) or one.needed(name, LARGEST) for name, one in held.items()]
    needed = max((many for many in found if many is not None), default=0)
    if needed <= grounds.stage.guard.items:
        return ()
    return (f"{grounds.wishes.command} --set {grounds.path}.guard.items={needed}",)


def _same(name: str, model: str) -> bool:
    """Whether an audit's name for a model is the plan's, which says folders absolutely."""
    return name == model or (Path(name).is_dir() and str(Path(name).resolve()) == model)


def _policy(folder: Path, model: str) -> str:
    """The weights that the audit opened under this name."""
    file = folder / "asked.jsonl"
    try:
        with file.open(encoding="ascii") as lines:
            named = (cast("dict[str, JSON]", json.loads(line)) for line in lines if '"model"' in line)
            for body in named:
                if body.get("kind") == "model" and body.get("key") == model:
                    return str(body["policy"])
    except (OSError, ValueError) as error:
        raise Unreadable(file, "the lines that accord audit wrote", str(error)) from None
    raise Unreadable(file, f"a line that says which weights {model} has", "none")


def _json(file: Path) -> dict[str, JSON]:
    try:
        found = cast(object, json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise Unreadable(file, "the JSON that accord audit wrote", str(error)) from None
    if not isinstance(found, dict):
        raise Unreadable(file, "the JSON that accord audit wrote", type(found).__name__)
    return cast("dict[str, JSON]", found)
