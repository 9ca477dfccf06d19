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
from accord.ports import Learner, Sampler, Task
from accord.progress import Progress

if TYPE_CHECKING:
    import torch

    from accord.engines.local.adopting import Adopted
    from accord.engines.local.learner import Dtypes
    from accord.engines.local.models import Opened

__all__ = ["Local", "adopt", "calm_threads", "native_dtype"]

_WIDE = 384  # hidden width from which bfloat16 pays on a processor


def calm_threads() -> None:
    """Before torch loads: OpenMP threads that wait sleep at once instead of spinning.

    On a machine that others use too, threads that spin for a partner whose core was taken stall each other by
    factors of ten (``bench/threads.py``). What the user has set stands.
    """
    if "torch" not in sys.modules and "GOMP_SPINCOUNT" not in os.environ:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def adopt(model: object, tokenizer: object, policy: str = "adopted@0") -> Adopted:
    """A Sampler over a module that somebody else trains; reading leaves it, and generators, as found.

    ``policy`` names this version of the weights; ``named`` gives a view of a later one.
    """
    from accord.engines.local.adopting import Adopted

    return Adopted.of(model, tokenizer, policy)


def native_dtype(
    wanted: Literal["auto", "float32", "bfloat16"], device: torch.device, width: int = _WIDE
) -> torch.dtype:
    """float32 or bfloat16; ``auto`` takes bfloat16 where the hardware multiplies it natively.

    On a processor a model under ``_WIDE`` numbers wide stays float32: there, converting costs what products
    save. The processor's flags decide, not a timing, so that a resumed run computes as it began.
    """
    import torch

    if wanted != "auto":
        return torch.float32 if wanted == "float32" else torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if width < _WIDE:
        return torch.float32
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return torch.float32
    return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else torch.float32


def _width(opened: Opened) -> int:
    """The numbers of a hidden state; a model that does not say counts as wide."""
    return int(getattr(cast(Any, opened.model).config, "hidden_size", None) or _WIDE)


class Local(Part):
    """How a model is trained here: LoRA (default) or full weights, AdamW, micro-batches by token budget.

    ``adam`` holds both betas and ε. ``critic`` names the reward model that PPO's value network starts from
    (default: the policy's own start). ``precision``: what passes compute in; the weights that the optimizer
    moves are float32 always. ``auto`` takes bfloat16 where the hardware multiplies it natively and the model
    is wide enough to gain by it.
    """

    adapter: Literal["lora", "full"] = "lora"
    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = Field(default=0, ge=0)
    critic: str = ""
    critic_lr: float = Field(default=1e-4, gt=0)
    adam: tuple[float, float, float] = (0.9, 0.999, 1e-8)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    tokens_per_pass: int = Field(default=2048, ge=16)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
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

    def learner(self, model: str, task: Task) -> Learner:
        """A learner that starts from ``model``; with score heads it becomes a reward model."""
        calm_threads()
        from accord.engines.local.learner import LocalLearner

        return LocalLearner(self, *self.start(model, task))

    def start(self, model: str, task: Task) -> tuple[Opened, Task, Dtypes]:
        """What a LocalLearner is made of beside these settings."""
        from accord.engines.local.learner import Dtypes

        opened = self._open(model, task.needs.scores)
        device = opened.model.device
        width = _width(opened)
        train, decode = (native_dtype(wanted, device, width) for wanted in (self.precision, self.decode))
        dtypes = Dtypes(train, decode)
        return opened, task, dtypes

    def sampler(self, model: str, progress: Progress) -> Sampler:
        """A model that is only read: base, judge, reward model. Its policy name is its files' digest."""
        calm_threads()
        import torch

        from accord.engines.local.decoder import DecodeCopy, Decoder
        from accord.engines.local.forward import Forward
        from accord.engines.local.llama import refusal
        from accord.engines.local.models import manifest_digest, model_manifest
        from accord.engines.local.reference import ReferenceCache
        from accord.engines.local.sampler import LocalSampler
        from accord.engines.local.scorer import LocalScorer, is_scorer

        found = self._open(model, 0)
        device = found.model.device
        name = f"base:{manifest_digest(model_manifest(found.folder))[:16]}"
        read = native_dtype(self.precision, device, _width(found))
        forward = Forward(found.model, read)
        if is_scorer(found.folder):
            return LocalScorer(found, name, forward)
        dtype = native_dtype(self.decode, device, _width(found))
        plain = DecodeCopy(found.model, dtype) if refusal(found.model) and dtype != torch.float32 else None
        decoder = Decoder(forward, dtype, plain)
        sampler = LocalSampler(found, name, forward, decoder=decoder, progress=progress)
        sampler.standing = ReferenceCache.of(found, read, "/tree")
        return sampler

    def _open(self, model: str, scores: int) -> Opened:
        from accord.engines.local.models import find_model, open_model, open_scorer
        from accord.engines.local.scorer import is_scorer

        scores = scores or int(is_scorer(find_model(model)))
        opened = open_scorer(model, scores) if scores else open_model(model)
        cast(Any, opened.model).to(self._device())
        return opened

    def environment(self) -> dict[str, str]:
        """What must be equal for a run to resume to the bit."""
        calm_threads()
        import torch
        import transformers

        device = self._device()
        return {
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "threads": str(torch.get_num_threads()),
            "device": str(device),
            "precision": str(native_dtype(self.precision, device)),
            "decode": str(native_dtype(self.decode, device)),
            "kernels": torch.backends.cpu.get_cpu_capability(),
        }

    def _device(self) -> torch.device:
        import torch

        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)
