"""What a gate found: Findings, one for each check and stage, and the GateReport that says whether one may.

Evidence that is missing is no permission: what could not be measured stops, unless the check itself says that
it may pass so. A person may sign for what stops, except where the guard's own promise would be empty.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from accord.progress import duration
from accord.records import JSON, Decision
from accord.records.signing import SignOff

__all__ = ["FIRM", "RULE", "Figure", "Finding", "GateReport", "Status"]

Status = Literal["passed", "refused", "not measurable", "printed only", "missing"]

RULE = "preflight"
FIRM = frozenset({"panels", "base_audit", "judges"})
"""Checks that nobody can sign for: without them the guard would promise nothing."""


class Figure(NamedTuple):
    """A number with its 95 % interval, where there is one; ``limit`` is what it is held against."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: not measured, {self.note}" if self.limit else f"{self.name}: {self.note}"
        around = "" if self.low is None or self.high is None else f" [{self.low:+.3g}, {self.high:+.3g}]"
        held = "" if self.limit is None else f", tolerated {self.limit:.3g}"
        return f"{self.name}: {self.value:+.3g}{around}{held}{f' ({self.note})' if self.note else ''}"


class Finding(NamedTuple):
    """What one check came to. ``remedy``: commands that supply what is lacking, and words where none can.

    ``lets``: it may pass although it could not be measured. ``signed``: who answers for it all the same.
    ``seconds``: about how long each remedy takes here, None where it tells by itself. ``evidence``: the
    Records it rests on.
    """

    check: str
    status: Status
    says: str
    stage: str = ""
    figures: tuple[Figure, ...] = ()
    remedy: tuple[str, ...] = ()
    lets: bool = False
    signed: SignOff | None = None
    seconds: tuple[float | None, ...] = ()
    evidence: tuple[str, ...] = ()

    @property
    def stops(self) -> bool:
        """Whether it stands in the way of a model that is to be kept."""
        clear = self.status in ("passed", "printed only") or (self.status == "not measurable" and self.lets)
        return not clear and self.signed is None

    @property
    def name(self) -> str:
        return f"{self.check} of {self.stage}" if self.stage else self.check

    @property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Each remedy behind the time that it takes here, "" where that is not known."""
        known = dict(zip(self.remedy, self.seconds, strict=False))
        return tuple(("" if (took := known.get(one)) is None else _about(took), one) for one in self.remedy)

    def json(self) -> dict[str, JSON]:
        """All of it."""
        signed = None if self.signed is None else {"id": self.signed.id, **self.signed.body()}
        figures = [cast(JSON, one._asdict()) for one in self.figures]
        told = {**self._asdict(), "figures": figures, "remedy": list(self.remedy), "signed": signed}
        told |= {"seconds": list(self.seconds), "evidence": list(self.evidence)}
        return cast("dict[str, JSON]", {**told, "stops": self.stops})


class GateReport(NamedTuple):
    """Every check of a plan. ``values`` is the hash of the values, "" for none; ``folder`` keeps what was
    asked, "" where nothing was kept; ``policy``: the base's weights, "" where it cannot be opened."""

    plan: str
    hash: str
    values: str
    purpose: Literal["explore", "model"]
    findings: tuple[Finding, ...]
    folder: str = ""
    policy: str = ""

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What stops a model that is to be kept."""
        return tuple(one for one in self.findings if one.stops)

    @property
    def passed(self) -> bool:
        """Whether a plan whose purpose is ``model`` may begin."""
        return not self.missing

    @property
    def refused(self) -> bool:
        """Whether this plan may not begin: one that explores may whatever is missing."""
        return self.purpose == "model" and not self.passed

    @property
    def decision(self) -> Decision:
        """What these checks come to. Its reason names what lacks and who signed. No run begins by it: that is
        the Decision on all that is required, of which these checks are one part."""
        signed = [one.signed for one in self.findings if one.signed is not None]
        told = [f"{one.name}: {one.status}" for one in self.missing]
        told += [f"{one.check} signed by {one.by}: {one.reason}" for one in signed]
        return Decision(
            run=f"gate/{self.hash}",
            step=0,
            action="continue" if self.passed else "pause",
            rule=RULE,
            reason="; ".join(told) or "all checks passed",
            parents=tuple(dict.fromkeys(one.id for one in signed)),
        )

    @property
    def headline(self) -> str:
        count = len(self.missing)
        if self.purpose == "explore":
            left = (
                f"; for a model to keep {count} of {len(self.findings)} checks are missing" if count else ""
            )
            return f"{self.plan}: purpose explore, which needs no gate{left}"
        return f"{self.plan}: " + ("the gate is passed" if not count else f"refused: {count} checks stop it")

    def rows(self) -> list[dict[str, str]]:
        """One row per check."""
        return [
            {
                "check": one.check,
                "stage": one.stage,
                "status": f"signed by {one.signed.by}" if one.signed else one.status,
                "stops": "yes" if one.stops else "",
            }
            for one in self.findings
        ]

    def json(self) -> dict[str, JSON]:
        """All of it, with the Decision."""
        decision = self.decision
        return {
            "plan": self.plan,
            "hash": self.hash,
            "values": self.values,
            "purpose": self.purpose,
            "passed": self.passed,
            "refused": self.refused,
            "findings": [one.json() for one in self.findings],
            "decision": {"kind": decision.kind, "id": decision.id, **decision.body()},
            "folder": self.folder,
        }


def _about(seconds: float) -> str:
    if seconds < 60:
        return "under a minute" if seconds else "at once"
    return f"about {duration(seconds)}"
