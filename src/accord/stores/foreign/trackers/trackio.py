"""Trackio: local by default, or wherever its own settings (``TRACKIO_DIR``, ``TRACKIO_SPACE_ID``, …) lead.

Trackio takes rows into a queue and delivers them in a thread of its own, so each call here opens the run,
logs, and finishes it: that is the one public way to know that they arrived, or lie in Trackio's own store
from where it sends them the next time. In between at least ``PACE`` seconds pass.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from accord.records import JSON
from accord.stores.foreign.trackers.rows import About, Ending, Outage, Row, package

__all__ = ["PACE", "Trackio"]

PACE = 5.0

_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")


class Trackio:
    """``send`` returns when Trackio has the rows on disk or at its server."""

    def __init__(self) -> None:
        self._trackio = package("trackio")
        self._about: About | None = None
        self._last = float("-inf")

    def begin(self, about: About) -> None:
        self._about = about
        self._log([])

    def send(self, rows: Sequence[Row]) -> None:
        if rows:
            time.sleep(max(0.0, self._last + PACE - time.monotonic()))
            self._log(rows)
            self._last = time.monotonic()
            # Trackio turns its own faults into warnings.
            if not any(os.environ.get(name) for name in _ELSEWHERE) and (lost := self.missing(rows)):
                raise Outage(f"Trackio did not keep {len(lost)} of {len(rows)} rows")

    def held(self, sent: int) -> int:
        return sent

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Those that Trackio's store on this machine lacks; what lies on a server alone cannot be asked."""
        if not rows:
            return []
        storage = package("trackio.sqlite_storage").SQLiteStorage
        there = Counter(_print(log.pop("step"), log) for log in storage.get_logs(*self._names()))
        left: list[Row] = []
        for row in rows:
            print_ = _print(row.step, _metrics(row))
            left += [] if there[print_] > 0 else [row]
            there[print_] -= 1
        return left

    def close(self, ending: Ending) -> None:
        """Nothing is open between two calls."""
        del ending

    def _names(self) -> tuple[str, str]:
        assert self._about is not None
        # A run's folder may bear the name of another's in the same project.
        return self._about.project, f"{self._about.run}-{self._about.key[:6]}"

    def _log(self, rows: Sequence[Row]) -> None:
        assert self._about is not None
        project, name = self._names()
        try:
            # What it prints at each opening would fill the log.
            with contextlib.redirect_stdout(io.StringIO()):
                run = self._trackio.init(
                    project=project,
                    name=name,
                    config=dict(self._about.plan),
                    resume="allow",
                    embed=False,
                    auto_log_gpu=False,
                    auto_log_cpu=False,
                )
                for row in rows:
                    run.log(_metrics(row), step=row.step)
                run.finish()
        except (OSError, RuntimeError) as error:
            raise Outage(str(error)[:300]) from error


def _metrics(row: Row) -> dict[str, Any]:
    return {**row.scalars, **row.texts}


def _print(step: int, metrics: dict[str, JSON]) -> str:
    inside = {key: value for key, value in metrics.items() if key != "timestamp"}
    return json.dumps([step, inside], sort_keys=True)
