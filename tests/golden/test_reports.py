"""The report of a recorded run, figure by figure. Changing ``report.json`` needs a sentence why.

Record ids are replaced by numbers in the order in which they appear: what they are made of is tested with the
records. To renew the file: ``PYTHONPATH=tests python tests/golden/test_reports.py``.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path

from unit.reports.written import finished

from accord.reports import gather, write_report

GOLDEN = Path(__file__).with_name("report.json")


def recorded(folder: Path) -> str:
    """The report of the scripted run, without the plan's text."""
    report = gather(finished(folder / "brevity-1")).json()
    assert report.pop("plan") == (folder / "brevity-1" / "plan.toml").read_text(encoding="utf-8")
    text = json.dumps(report, ensure_ascii=False, indent=1)
    seen: dict[str, str] = {}
    return (
        re.sub(r"\b[0-9a-f]{64}\b", lambda m: seen.setdefault(m[0], f"record {len(seen) + 1}"), text) + "\n"
    )


def test_the_report_is_what_it_was(tmp_path: Path) -> None:
    assert recorded(tmp_path) == GOLDEN.read_text(encoding="utf-8")


def test_the_file_holds_what_gather_says(tmp_path: Path) -> None:
    run = finished(tmp_path / "brevity-1")
    page = write_report(run)
    assert page == run / "report.html"
    assert json.loads((run / "report.json").read_text(encoding="utf-8")) == gather(run).json()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(recorded(Path(folder)), encoding="utf-8")
