"""Parts as a user would write them, one sick in each way the guard must notice. Tests copy this file."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import PrivateAttr

from accord.methods.best_of_n import BestOfN
from accord.methods.sft import SFT
from accord.part import Part
from accord.ports import Draw, Look, Sampler
from accord.records import Cost, Reading


class Thermometer(Part):
    """An indicator that breaks at step ``breaks``, and reads 1 before and after."""

    breaks: int

    @property
    def name(self) -> str:
        return "thermometer"

    @property
    def tier(self) -> Literal["page", "warning", "report"]:
        return "report"

    @property
    def wants(self) -> frozenset[str]:
        return frozenset()

    def cost(self, probes: int, answers: int, tokens: int) -> Cost:
        return Cost()

    async def read(self, look: Look, base: Sampler, draw: Draw) -> Reading:
        if look.step == self.breaks:
            raise ZeroDivisionError("the mercury is gone")
        return Reading(
            run=look.run, name=self.name, step=look.step, instrument="mercury", value=1, low=1, high=1, n=1
        )


class Mortal(SFT):
    """SFT that kills its process where TINY_RUNS_DIES says: ``update 3`` is in the loss of its fourth update,
    ``evaluation 0`` in that of the first row it is evaluated on."""

    _calls: dict[str, int] = PrivateAttr(default_factory=lambda: {"update": 0, "evaluation": 0})

    def loss(self, out: Any, batch: Any) -> Mapping[str, Any]:
        totals = super().loss(out, batch)
        kind = "update" if totals["nll"].requires_grad else "evaluation"
        if os.environ.get("TINY_RUNS_DIES") == f"{kind} {self._calls[kind]}":
            os.kill(os.getpid(), signal.SIGKILL)
        self._calls[kind] += 1
        return totals


class SometimesNan(BestOfN):
    """Best of n whose loss is no number at the named updates of a process, unless TINY_RUNS_WELL is set."""

    at: tuple[int, ...]
    _calls: int = PrivateAttr(0)

    def loss(self, out: Any, batch: Any) -> Mapping[str, Any]:
        self._calls += 1
        totals = super().loss(out, batch)
        if self._calls not in self.at or "TINY_RUNS_WELL" in os.environ:
            return totals
        return {name: total * float("nan") for name, total in totals.items()}
