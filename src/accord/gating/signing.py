"""Sign-offs: a person answers for going on without one piece of evidence. Kept beside the plan, line by line.

``PLAN.signed.jsonl`` holds one SignOff a line with its id. A line that was changed by hand is refused: what a
person signed is what stands there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accord.errors import PlanError, Refused, nearest
from accord.gating.report import FIRM, Finding, GateReport
from accord.records.signing import SignOff
from accord.stores.ledger import add_records, records_in

__all__ = ["read_signed", "sign", "signed_file", "with_signed"]


def signed_file(plan: Path, folder: Path | None = None) -> Path:
    """Where the sign-offs of a plan lie: beside it, or in a folder of the user's."""
    return (folder or plan.parent) / f"{plan.stem}.signed.jsonl"


def read_signed(file: Path) -> list[SignOff]:
    """The sign-offs in a file, none where there is none. Unreadable names the line that is none."""
    return records_in(file, "a sign-off as accord gate wrote it", SignOff)


def sign(report: GateReport, checks: Sequence[str], by: str, reason: str, file: Path) -> list[SignOff]:
    """Write a sign-off for every finding of these checks that stops the gate; returns them.

    Refused for a check that nobody can sign for, and where there is nothing to sign. PlanError for no check.
    """
    names = list(dict.fromkeys(one.check for one in report.findings))
    for check in checks:
        if check not in names:
            raise PlanError("--exception", check, ", ".join(names), nearest(check, names))
    if not (by.strip() and reason.strip()):
        raise Refused("a person answers for an exception: --exception needs --by NAME and --reason TEXT")
    stopping = [one for one in report.missing if one.check in checks]
    for one in stopping:
        if one.check in FIRM:
            raise Refused(
                f"{one.name}: {one.says}\n  nobody can sign for this: the guard would promise nothing\n"
                f"  to pass: {'; '.join(one.remedy)}"
            )
    if not stopping:
        raise Refused(f"nothing to sign: {', '.join(checks)} does not stand in the way")
    signed = [_of(report, one, by.strip(), reason.strip()) for one in stopping]
    _append(file, signed)
    return signed


def with_signed(report: GateReport, signed: Sequence[SignOff]) -> GateReport:
    """The report with whoever signed for a finding of this plan, these values and these weights."""
    mine = (report.hash, report.values, report.policy)
    own = {(s.check, s.stage): s for s in signed if (s.plan, s.values, s.policy) == mine}
    findings = tuple(
        one._replace(signed=own.get((one.check, one.stage))) if one.stops and one.check not in FIRM else one
        for one in report.findings
    )
    return report._replace(findings=findings)


def _of(report: GateReport, finding: Finding, by: str, reason: str) -> SignOff:
    of = {"plan": report.hash, "values": report.values, "policy": report.policy}
    told = {"check": finding.check, "stage": finding.stage, "by": by, "reason": reason}
    return SignOff.model_validate({**told, **of})


def _append(file: Path, signed: Sequence[SignOff]) -> None:
    known = {s.id for s in read_signed(file)}
    add_records(file, [s for s in signed if s.id not in known])
