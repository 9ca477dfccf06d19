"""Which way answers are decoded: the Llama family's own, or transformers' with a merged copy of the weights.

Deterministic per machine: the processor's flags decide, not a timing, so a resumed run takes the same path.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import torch

from accord.engines.local.adapters import merged
from accord.engines.local.decode import Drawn, Wanted, decode
from accord.engines.local.llama_decode import LlamaDecoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from accord.engines.local.forward import Forward

__all__ = ["DecodeCopy", "Decoder"]


class DecodeCopy:
    """A second model that only decodes. ``refresh`` copies the learner's weights into it when they moved."""

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self.model = cast("PreTrainedModel", cast(Any, copy.deepcopy(model)).to(dtype).eval())
        self.model.requires_grad_(False)
        self._version = ""

    def forget(self) -> None:
        """The next refresh copies, whatever version it names: two histories can reach one version."""
        self._version = ""

    def refresh(self, source: PreTrainedModel, version: str) -> PreTrainedModel:
        if version != self._version:
            with torch.no_grad():
                fresh = merged(source)
                for name, tensor in self.model.state_dict().items():
                    tensor.copy_(fresh[name])
            self._version = version
        return self.model


class Decoder:
    """Answers of one model. ``plain``: merged copy of one outside the family, made before its adapters."""

    def __init__(self, forward: Forward, dtype: torch.dtype, plain: DecodeCopy | None) -> None:
        self._forward, self._dtype, self._plain = forward, dtype, plain
        self._fast: LlamaDecoder | None = None

    @property
    def note(self) -> str:
        """Which way was taken, once it is known."""
        if self._fast is not None:
            return self._fast.note
        if self._plain is not None:
            return f"decoding with transformers in {str(self._dtype).removeprefix('torch.')}, weights merged"
        return ""

    @property
    def made(self) -> bool:
        """Whether the copy that answers are decoded from exists."""
        return self._fast is not None or self._plain is not None

    def forget(self) -> None:
        """After a restore: copy again, whatever version is named."""
        for known in (self._fast, self._plain):
            if known is not None:
                known.forget()

    def decode(
        self, version: str, wanted: list[Wanted], max_tokens: int, temperature: float, stop: frozenset[int]
    ) -> Iterator[list[Drawn]]:
        """Answers as they finish, from the weights of ``version``."""
        family = self._forward.family()
        if family is not None:
            if self._fast is None:
                self._fast = LlamaDecoder(*family, self._dtype)
            self._fast.refresh(version)
            yield from self._fast.decode(wanted, max_tokens, temperature, stop)
            return
        model = self._forward.model
        if self._plain is not None:
            model = self._plain.refresh(model, version)
        yield from decode(model, wanted, max_tokens, temperature, stop)
