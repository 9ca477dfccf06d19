"""The local engine: transformers models on this machine, as Learner and Sampler.

``learner.py`` owns weights and updates, ``sampler.py`` answers and scores, ``forward.py`` and ``decode.py``
are the two kinds of pass, ``models.py`` opens what a name stands for, ``tiny.py`` makes models for tests.
Importing this package loads no torch; opening a model does.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import Field

from accord.errors import Refused
from accord.part import Part
from accord.ports import Learner, Sampler
from accord.progress import Progress

if TYPE_CHECKING:
    import torch

    from accord.engines.local.models import Opened

__all__ = ["Local", "calm_threads"]


def calm_threads() -> None:
    """Before torch loads: OpenMP threads that wait sleep at once instead of spinning.

    On a machine that others use too, threads that spin for a partner whose core was taken stall each other by
    factors of ten (``bench/threads.py``). What the user has set stands.
    """
    if "torch" not in sys.modules and "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


class Local(Part):
    """How a model is trained here: LoRA (default) or full weights, AdamW, micro-batches by token budget."""

    adapter: Literal["lora", "full"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    warmup: int = Field(default=0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    tokens_per_pass: int = Field(default=2048, ge=16)
    decode: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    def check(self, model: str) -> None:
        """Whether ``model`` can be found and its files are whole, without loading it."""
        calm_threads()
        if find_spec("torch") is None:
            raise Refused("training needs PyTorch, which is not installed\n  pip install 'accord[train]'")
        from accord.engines.local.models import find_model
        from accord.engines.local.weights import check_weights

        found = find_model(model)
        if isinstance(found, Path):
            check_weights(found)

    def learner(self, model: str, run: str, seed: int, progress: Progress) -> Learner:
        """A learner that starts from ``model``; ``run`` is ``run/stage``."""
        calm_threads()
        from accord.engines.local.decoder import decode_dtype
        from accord.engines.local.learner import LocalLearner, Start

        opened = self._open(model)
        dtype = decode_dtype(self.decode, opened.model.device)
        return LocalLearner(self, Start(opened, model, run, seed, progress), dtype)

    def sampler(self, model: str, progress: Progress) -> Sampler:
        """A model that is only read: a base, a judge. Its policy name is the digest of its files."""
        calm_threads()
        import torch

        from accord.engines.local.decoder import DecodeCopy, decode_dtype
        from accord.engines.local.models import manifest_digest, model_manifest
        from accord.engines.local.sampler import LocalSampler

        opened = self._open(model)
        dtype = decode_dtype(self.decode, opened.model.device)
        copy = DecodeCopy(opened.model, dtype) if dtype != torch.float32 else None
        return LocalSampler(
            opened,
            f"base:{manifest_digest(model_manifest(opened.folder))[:16]}",
            copy=copy,
            progress=progress,
        )

    def _open(self, model: str) -> Opened:
        from accord.engines.local.models import open_model

        opened = open_model(model)
        cast(Any, opened.model).to(self._device())
        return opened

    def environment(self) -> dict[str, str]:
        """What must be equal for a run to resume to the bit."""
        calm_threads()
        import torch
        import transformers

        from accord.engines.local.decoder import decode_dtype

        device = self._device()
        return {
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "threads": str(torch.get_num_threads()),
            "device": str(device),
            "decode": str(decode_dtype(self.decode, device)),
            "kernels": torch.backends.cpu.get_cpu_capability(),
        }

    def _device(self) -> torch.device:
        import torch

        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)
