"""Weights & Biases: one history row a row, over the stage's steps, with the plan as config.

Where to is W&B's own affair: ``WANDB_PROJECT`` (else the plan's name), ``WANDB_ENTITY``, ``WANDB_MODE``. Its
service uploads in batches, far below the limit of two requests a second, and waits out outages itself.

W&B's own step is the number of the row. So the server's next step says which rows it has; rows are kept until
it says so, which is asked every half minute. Offline nobody can be asked: rows are kept until the service
has written them to its file, and those of the last seconds before a kill stand in two files under one step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from accord.errors import Refused
from accord.stores.foreign.trackers.rows import About, Ending, Outage, Row, package

__all__ = ["Wandb"]

_ASK = 30.0  # seconds between two questions to the server
_FLUSH = 1.0  # seconds between two writes of the service to its file
_SAFE = 3 * _FLUSH
_KEPT = 1000  # rows kept at most; W&B's own file has them too

# Nothing but what we send: no hardware figures, console, code or git state.
_OURS = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
    "x_transaction_log_flush_interval": _FLUSH,
}


class Wandb:
    """``send`` hands rows to W&B's service; ``held`` says what arrived."""

    def __init__(self) -> None:
        self._wandb = package("wandb")
        self._run: Any = None
        self._held = 0
        self._asked = float("-inf")
        self._handed: list[tuple[float, int]] = []  # when, and the number after the last row

    def begin(self, about: About) -> None:
        known = set(self._wandb.Settings.model_fields)
        settings = self._wandb.Settings(**{key: value for key, value in _OURS.items() if key in known})
        try:
            self._run = self._wandb.init(
                project=os.environ.get("WANDB_PROJECT") or about.project,
                name=about.run,
                id=about.key,
                config=dict(about.plan),
                resume="allow",
                settings=settings,
            )
        except (self._wandb.errors.AuthenticationError, self._wandb.errors.UsageError) as error:
            raise Refused(f"W&B refuses: {error}\n  Run:  wandb login  (or WANDB_MODE=offline)") from error
        except (self._wandb.Error, OSError) as error:
            raise Outage(str(error)[:300]) from error
        for stage in about.stages:
            self._run.define_metric(f"{stage}/step")
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    def send(self, rows: Sequence[Row]) -> None:
        try:
            for row in rows:
                figures = {f"{row.stage}/step": row.step, **row.scalars, **row.texts}
                self._run.log(figures, step=row.number, commit=True)
        except (self._wandb.Error, OSError) as error:
            raise Outage(str(error)[:300]) from error
        if rows:
            self._handed.append((time.monotonic(), rows[-1].number + 1))

    def held(self, sent: int) -> int:
        now = time.monotonic()
        if self._run.offline:
            old = [number for when, number in self._handed if now - when >= _SAFE]
            self._held = max([self._held, *old])
        elif now - self._asked >= _ASK and self._held < sent:
            self._asked = now
            self._held = max(self._held, self._at_server(), sent - _KEPT)
        self._handed = [(when, number) for when, number in self._handed if number > self._held]
        return self._held

    def _at_server(self) -> int:
        try:
            return int(self._wandb.Api(timeout=20).run(self._run.path).lastHistoryStep) + 1
        # The service waits out outages; that the question fails means only that rows are kept for longer.
        except (self._wandb.Error, OSError, ValueError):
            return 0

    def missing(self, rows: Sequence[Row]) -> list[Row]:
        """Those from W&B's next step on. Offline a run begins anew, so all of them."""
        upto = 0 if self._run.offline and not self._handed else int(self._run.step)
        return [row for row in rows if row.number >= upto]

    def close(self, ending: Ending) -> None:
        """Waits until W&B has everything; a halted run is a failed one there."""
        self._run.finish(exit_code=1 if ending == "halt" else 0)
