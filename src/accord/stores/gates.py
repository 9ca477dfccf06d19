"""What gates decided, in one ledger: the gate writes there, and a run looks there before its first step.

A Ruling is a Decision with the Permit that it stands on and the sign-offs of people beside it. Of several on
one plan the last counts; what a run refused by itself (rule ``permit``) stands there too, and is none.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from accord.errors import Unreadable
from accord.records import Decision, Permit, Record, SignOff
from accord.stores.ledger import add_records, records_in

__all__ = ["DECISIONS", "KEPT", "LOOP", "RULE", "Ruling", "add_ruling", "last_ruling", "of_plan"]

DECISIONS = "decisions.jsonl"  # in the folder of gates
KEPT = "gate.jsonl"  # in the folder of a run that a gate let begin
RULE, LOOP = "gate", "permit"
_WHAT = "a Decision of accord gate, or what it stands on"


class Ruling(NamedTuple):
    """A gate's Decision on one plan, what it stands on, and who answers for what is missing."""

    decision: Decision
    permit: Permit
    signed: tuple[SignOff, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether a run of that plan may begin."""
        return self.decision.action == "continue"


def of_plan(plan: str) -> str:
    """What a Decision on the plan with this hash names as its run."""
    return f"gate/{plan}"


def last_ruling(file: Path, plan: str, rule: str = RULE) -> Ruling | None:
    """The last Ruling on the plan with this hash; None where there is none. Unreadable where the ledger was
    changed, or what a Decision stands on is not in it."""
    records = records_in(file, _WHAT, Decision, Permit, SignOff)
    known = {one.id: one for one in records}
    own = [one for one in records if isinstance(one, Decision) and one.run == of_plan(plan)]
    last = next((one for one in reversed(own) if one.rule == rule), None)
    if last is None:
        return None
    under = [known.get(name) for name in last.parents]
    permit = next((one for one in under if isinstance(one, Permit)), None)
    if permit is None or None in under:
        raise Unreadable(file, _WHAT, f"the Decision {last.id[:12]} without what it stands on")
    return Ruling(last, permit, tuple(one for one in under if isinstance(one, SignOff)))


def add_ruling(file: Path, ruling: Ruling) -> None:
    """Write a Ruling; nothing where the last one on this plan is the same."""
    decision = ruling.decision
    last = last_ruling(file, decision.run.partition("/")[2], decision.rule)
    if last is not None and last.decision.id == decision.id:
        return
    records: list[Record] = [ruling.permit, *ruling.signed, decision]
    add_records(file, records)
