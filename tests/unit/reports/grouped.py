"""A run whose method compares groups of answers, written by hand; figures can be planted in its windows."""

from __future__ import annotations

from pathlib import Path

from unit.reports.written import Script, make_run

from accord.records import Record

PLAN = """
name = "brevity"
purpose = "explore"
model = "tiny-base"
[[stage]]
name = "amplify"
windows = 12
source = { name = "rollouts", prompts = "questions.jsonl", per_window = 2 }
method = { name = "grpo", n = 2 }
[[stage]]
name = "after"
windows = 2
source = { name = "rollouts", prompts = "questions.jsonl", per_window = 2 }
method = { name = "grpo", n = 2 }
"""
SHORT = ("Yes.", "No, it is not.")


class Hasty(Script):
    """Commits once, at the end: a test has no power cut to fear."""

    def put(self, *records: Record, name: str = "", commit: bool = False) -> None:
        super().put(*records, name=name, commit=False)


def a_run(folder: Path, texts: tuple[str, str] = SHORT, **scalars: float) -> Path:
    """Twelve windows of four answers, an update each; ``after`` has not begun."""
    run = make_run(folder / "brevity-1", PLAN)
    with Hasty(run) as script:
        for k in range(12):
            script.window(k, texts, **({"groups": 2.0, "groups_equal": 0.0, "k3": 0.1 * k} | scalars))
            script.update(k, nll=1.0 - 0.01 * k)
        script.finish()
    return run
