"""``accord import data BALLOTS --as values``: what groups adopted, as a values document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from accord.cli.codes import Exit
from accord.cli.show import Screen, table
from accord.errors import PlanError

if TYPE_CHECKING:
    from accord.records import JSON
    from accord.stores.foreign.imports.ballots import Counted

__all__ = ["Election", "import_values"]


class Election(NamedTuple):
    """What ballots are counted by, as the options of ``accord import data`` say it."""

    of: str | None
    threshold: float | None
    fold: str | None
    to: Path | None


def import_values(file: Path, shape: str, election: Election, other: Sequence[object], screen: Screen) -> int:
    """Count the ballots and write the document. PlanError for what is not said, or is said of other files."""
    from accord.stores.files import write_aside
    from accord.stores.foreign.imports.ballots import bring_ballots
    from accord.values import read_values

    if shape != "values":
        raise PlanError("--as", shape, "values; feedback needs no --as")
    if other:
        raise PlanError("import data", str(other[0]), "nothing but ballots and what they are counted by")
    if election.of is None:
        raise PlanError("--of", None, "the values that were put to the vote: a file, or a name such as hhh")
    if election.threshold is None:
        advice = "of two groups 0.5 asks for .71 in each; whoever sets it decides what counts as agreed"
        raise PlanError("--threshold", None, "a share over 0 and at most 1; it has no default", advice)
    to = election.to
    if to is None or to.exists() or not to.parent.is_dir():
        raise PlanError("--to", str(to) if to else None, "a file that is not there yet, in a folder that is")
    voted = read_values(election.of)
    counted = bring_ballots(file, voted, election.threshold, election.fold)
    write_aside(to, replace(voted, document=counted.document).toml(to.parent))
    document: dict[str, JSON] = {
        "file": str(file),
        "to": str(to),
        "of": voted.digest,
        "values": read_values(to).digest,
        "threshold": election.threshold,
        "folded": dict(counted.folded),
        "principles": [
            {
                "id": one.principle,
                "outcome": one.outcome,
                "consensus": one.consensus,
                "why": one.why,
                "adopted_by": [ballot.table() for ballot in one.ballots],
            }
            for one in counted.tallies
        ],
    }
    screen.give(document, _told(counted, election, to))
    return Exit.DONE


def _told(counted: Counted, election: Election, to: Path) -> list[str]:
    from accord.reports.words import counted as so_many

    rows: list[dict[str, JSON]] = [
        {
            "principle": one.principle,
            "outcome": one.outcome,
            "consensus": "" if one.consensus is None else f"{one.consensus:.3f}",
            "votes": "; ".join(ballot.told for ballot in one.ballots) or one.why,
        }
        for one in counted.tallies
    ]
    found = [sum(one.outcome == name for one in counted.tallies) for name in ("adopted", "contested")]
    told = f"{so_many(found[0], 'principle')} adopted at {election.threshold}, {found[1]} contested, in {to}"
    lines = [told, "", *table(rows)]
    if counted.folded:
        groups = ", ".join(f"{group} ({people})" for group, people in counted.folded.items())
        lines += ["", f"folded as {election.fold}, for they were too small to be told apart: {groups}"]
    if any(one.outcome in ("unwanted", "unheard") for one in counted.tallies):
        lines += ["", "what is unwanted or unheard is not in the document: nothing trains it or watches it"]
    return lines
