"""The critic of PPO: a value network of its own beside the policy, with its own adapters or weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from accord.engines.local.adapters import add_lora
from accord.engines.local.forward import Forward

if TYPE_CHECKING:
    from accord.engines.local import Local
    from accord.engines.local.models import Opened
    from accord.records import Sequence as Masked

__all__ = ["Critic"]


class Critic:
    """Starts from the reward model that the plan names, or from the policy's start; its head starts at 0."""

    def __init__(self, config: Local, opened: Opened, seed: int, dtype: torch.dtype) -> None:
        from accord.engines.local.models import open_scorer

        self._model = open_scorer(config.critic or str(opened.folder), 1).model
        cast(Any, self._model).to(opened.model.device)
        if config.adapter == "lora":
            add_lora(self._model, config.rank, config.alpha, seed + 1)
        else:
            self._model.requires_grad_(True)
        head = cast(nn.Linear, cast(Any, self._model).score)
        nn.init.zeros_(head.weight)
        head.weight.requires_grad_(True)
        self._head = head
        self.forward = Forward(self._model, dtype)
        self.trained = {f"critic.{name}": p for name, p in self._model.named_parameters() if p.requires_grad}

    def live(self, sequences: Sequence[Masked]) -> Tensor:
        """V of the state in which each answer token was chosen, with gradient where autograd is on."""
        read = self.forward.read(sequences)
        state = read.states(read.at_A)
        return nn.functional.linear(state.to(self._head.weight.dtype), self._head.weight)[:, 0]

    @torch.no_grad()
    def values(self, sequences: Sequence[Masked]) -> Tensor:
        """The same, only read."""
        return self.live(sequences)
