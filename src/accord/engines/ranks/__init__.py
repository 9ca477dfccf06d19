"""The engine ``ranks``: one learner in several processes of this machine, each with its share of the rows.

Rank 0 is the process that runs all of Accord; the others do nothing but follow. A call of rank 0's learner is
told to them and made by every rank on a learner of its own, so collective calls match, and nobody but rank 0
asks a question, decides or writes. Every rank holds all weights (no sharding: memory is that of ``local``,
times the processes).

``shares.py`` says who takes what, ``learner.py`` and ``sampler.py`` do it, ``group.py`` is the call on every
rank, ``wire.py`` what goes between them, ``followers.py`` the other processes as rank 0 sees them,
``follow.py`` what they run. Importing this package loads no torch.
"""

from __future__ import annotations

from pydantic import Field

from accord.engines.local import Local, calm_threads
from accord.errors import PlanError, Refused
from accord.part import Part
from accord.ports import Learner, Sampler, Task
from accord.progress import Progress

__all__ = ["Ranks"]


class Ranks(Part):
    """``local`` in ``processes`` processes, which share the cores, or have a GPU each.

    ``local``: how each of them trains. ``timeout``: the seconds that one may wait for another; the slowest
    share of one window's answers must fit.
    """

    processes: int = Field(default=2, ge=1)
    local: Local = Local()
    timeout: float = Field(default=3600.0, gt=0)

    def check(self, model: str) -> None:
        """Whether ``model`` can be found, and so many processes can work here."""
        self.local.check(model)
        self._possible()

    def learner(self, model: str, task: Task) -> Learner:
        """Starts the other processes; they end with the learner, and when this process goes away."""
        if self.processes == 1:
            return self.local.learner(model, task)
        calm_threads()
        self._possible()
        from accord.engines.ranks.start import led

        return led(self, model, task)

    def sampler(self, model: str, progress: Progress) -> Sampler:
        """A model that is only read, in this process alone."""
        return self.local.sampler(model, progress)

    def environment(self) -> dict[str, str]:
        """What must be equal for a run to resume to the bit: sums over other shares round differently."""
        return {**self.local.environment(), "processes": str(self.processes)}

    def _possible(self) -> None:
        if self.processes == 1:
            return
        import torch
        from torch import distributed

        if not distributed.is_available() or not distributed.is_gloo_available():
            raise Refused(
                "the engine ranks needs gloo, which this build of PyTorch leaves out\n"
                '  train in one process: name = "local", or processes = 1'
            )
        cards = torch.cuda.device_count() if self.local.device != "cpu" and torch.cuda.is_available() else 0
        if cards and self.processes > cards:
            allowed = f"at most {cards}, one for each GPU"
            raise PlanError("learner.processes", self.processes, allowed, 'or local.device = "cpu"')
