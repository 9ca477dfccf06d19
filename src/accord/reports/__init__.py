"""The report of a run: run folder → document (layer 4). Pure: nothing here trains, measures or decides.

``whole.py`` reads a run into ``document.py``; ``result``, ``evaluated``, ``series``, ``transcripts``,
``spent``, ``watched``, ``crossing`` and ``trace`` are its sections; ``words``, ``svg``, ``charts`` and
``html`` show it. ``answers.py`` leafs through what was said. ``stewardship.py`` reads a stewardship into
``stewarded.py``; ``beside.py`` sets two runs side by side.
``result.py`` is the example to follow. Not here: what is measured (``accord.indicators``), what
follows from it (``accord.rules``).
"""

from __future__ import annotations

import json
from pathlib import Path

from accord.reports.document import RunReport
from accord.reports.whole import gather, headline
from accord.stores.files import make_folder, write_aside

__all__ = ["RunReport", "gather", "headline", "write_report"]


def write_report(folder: Path, out: Path | None = None) -> Path:
    """Write ``report.html`` and ``report.json`` into the run's folder; with ``out`` only the page, there.

    Unreadable where the folder holds no run, Refused where nothing can be written.
    """
    from accord.reports.html import render

    report = gather(folder)
    page = render(report)
    if out is not None:
        make_folder(out.parent)
        write_aside(out, page)
        return out
    write_aside(folder / "report.json", json.dumps(report.json(), ensure_ascii=False, indent=1) + "\n")
    write_aside(folder / "report.html", page)
    return folder / "report.html"
