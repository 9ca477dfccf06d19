"""The release test in a report: its verdict in a sentence, and in a few words for the headline."""

from __future__ import annotations

from accord.records import Decision
from accord.release import RULE, verdict_of
from accord.reports.logs import StageLog

__all__ = ["headline_release", "released_prompts", "told_release"]

_SHORT = {"pass": "passed", "fail": "failed", "no solution found": "decided nothing"}


def told_release(log: StageLog) -> str:
    """What the test found, with its figures; nothing where the stage has none."""
    if log.stage.release is None:
        return ""
    last = _last(log)
    return f"Release test, {last.reason}." if last else "The release test was not held yet."


def headline_release(log: StageLog) -> str:
    """Whether the result may go out, as far as this test tells; nothing where there was none."""
    last = _last(log)
    verdict = verdict_of(last) if last else None
    table = log.stage.release
    return f"release test of {table.column} {_SHORT[verdict]}" if table and verdict else ""


def released_prompts(log: StageLog) -> set[str]:
    """The prompts of the release test."""
    return {item for one in log.readings if one.name.startswith(f"{RULE}.") for item in one.items}


def _last(log: StageLog) -> Decision | None:
    found = [one for one in log.decisions if one.rule == RULE]
    return found[-1] if found else None
