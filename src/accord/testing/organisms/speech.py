"""Speaker: a sampler whose whole behaviour is written down, as the probability of every answer to a prompt.

Tokens are bytes and one end. ``says`` gives a few texts with their probabilities; as a language model,

    π(token | said so far) = (1 − ε)·(share of what is meant that goes on so) + ε/257        ε = ``SLIP``

and where nothing that is meant begins so, all 257 are as likely. So every text has a probability, and what is
meant has its own to about its length times ε. Answers are drawn and scored from the same numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from accord.engines.scripted.sampler import measures
from accord.errors import ContractError
from accord.ports import How, Scored
from accord.records import Prompt, Response, digest
from accord.records.rows import Floats, Group, Text

__all__ = ["END", "SLIP", "Says", "Speaker"]

END, _WIDTH = 256, 257
SLIP = 1e-10

Says = Callable[[Prompt], Mapping[str, float]]
"""What is said to a prompt: texts with their probabilities, which sum to 1."""

_Tree = dict[tuple[int, ...], dict[int, float]]
_TOKENIZER = digest(["bytes and an end"])
_HELD = 4096  # prompts whose trees are kept


class Speaker:
    """Answers and scores exactly as ``says`` has it. It satisfies the port ``Sampler``."""

    can = frozenset({"sample", "logp", "rank", "entropy", "support"})

    def __init__(self, policy: str, says: Says) -> None:
        self.policy = policy
        self._says = says
        self._trees: dict[str, _Tree] = {}

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(
            prompt=prompt.id,
            text=text,
            prompt_tokens=_rendered(prompt),
            tokens=(*text.encode("utf-8", "surrogatepass"), END),
            finish="data",
            tokenizer=_TOKENIZER,
            template="bytes",
            parents=(prompt.id,),
        )

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        if how.temperature <= 0 or how.max_tokens < 1 or n < 1:
            asked = f"{how}, n={n}"
            raise ContractError("the caller of Speaker", "temperature > 0, max_tokens ≥ 1, n ≥ 1", asked)
        groups: list[Group] = []
        for prompt in prompts:
            groups.append(Group(prompt, tuple(self._draw(prompt, i, how) for i in range(n))))
            await asyncio.sleep(0)
        return groups

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        if not want <= self.can - {"sample"}:
            raise ContractError("the caller of Speaker", f"asks for {sorted(self.can)}", f"{sorted(want)}")
        return [Scored(self._columns(text, want), _TOKENIZER) for text in texts]

    def _columns(self, text: Text, want: frozenset[str]) -> dict[str, Floats]:
        said = text.response
        if said.tokenizer != _TOKENIZER or not said.tokens:
            encoded = self.encode(text.prompt, said.text)
            said = encoded.model_copy(update={"temperature": said.temperature})
        tree = self._tree(text.prompt)
        if want == frozenset({"logp"}) and text.prompt.allowed is None and said.temperature == 1.0:
            quick = [_logp_of(tree, said.tokens[:t], token) for t, token in enumerate(said.tokens)]
            return {"logp": np.array(quick, dtype=np.float64)}
        rows_TV = [
            _logp(tree, said.tokens[:t], text.prompt.allowed, said.temperature)
            for t in range(len(said.tokens))
        ]
        cells = [measures(logp_V, token) for logp_V, token in zip(rows_TV, said.tokens, strict=True)]
        return {name: np.array([cell[name] for cell in cells], dtype=np.float64) for name in sorted(want)}

    def _draw(self, prompt: Prompt, index: int, how: How) -> Response:
        seed = hashlib.sha256(f"{how.key}\n{prompt.id}\n{index}".encode()).hexdigest()[:32]
        uniform = np.random.Generator(np.random.Philox(key=int(seed, 16))).random(how.max_tokens)
        tree = self._tree(prompt)
        said: list[int] = []
        measured: list[float] = []
        for u in cast("list[float]", uniform.tolist()):
            logp_V = _logp(tree, tuple(said), prompt.allowed, how.temperature)
            mass_V = np.cumsum(np.exp(logp_V))
            last = int(np.flatnonzero(logp_V > -np.inf)[-1])
            said.append(min(int(np.searchsorted(mass_V, u * float(mass_V[-1]), side="right")), last))
            measured.append(float(logp_V[said[-1]]))
            if said[-1] == END:
                break
        return Response(
            prompt=prompt.id,
            text=bytes(token for token in said if token != END).decode("utf-8", "replace"),
            prompt_tokens=_rendered(prompt),
            tokens=tuple(said),
            finish="stop" if said[-1] == END else "length",
            policy=self.policy,
            seed=seed,
            index=index,
            temperature=how.temperature,
            tokenizer=_TOKENIZER,
            template="bytes",
            logp=tuple(measured),
            parents=(prompt.id,),
        )

    def _tree(self, prompt: Prompt) -> _Tree:
        """How much of what is meant goes on with which token, after every beginning."""
        if (known := self._trees.get(prompt.id)) is not None:
            return known
        tree: _Tree = {}
        for text, share in self._says(prompt).items():
            tokens = (*text.encode("utf-8", "surrogatepass"), END)
            for t, token in enumerate(tokens):
                branch = tree.setdefault(tokens[:t], {})
                branch[token] = branch.get(token, 0.0) + share
        if len(self._trees) >= _HELD:
            self._trees.clear()
        self._trees[prompt.id] = tree
        return tree


def _rendered(prompt: Prompt) -> tuple[int, ...]:
    """Who said what, as bytes; what has begun in tokens of this kind stays these tokens."""
    begun, rest = prompt.begun, prompt.messages
    tokens: list[int] = []
    if begun is not None and begun.tokenizer == _TOKENIZER:
        tokens, rest = list(begun.tokens), rest[prompt.answered :]
        tokens += [END] if tokens[-1] != END else []
    for message in rest:
        tokens += [*f"{message.role}: {message.content}\n".encode("utf-8", "surrogatepass")]
        tokens += [END] if message.role == "assistant" else []
    return tuple(tokens)


def _logp_of(tree: _Tree, before: tuple[int, ...], token: int) -> float:
    """log π of one token, at temperature 1 and with every token allowed."""
    branch = tree.get(before)
    if branch is None:
        return -math.log(_WIDTH)
    return math.log((1 - SLIP) * branch.get(token, 0.0) / sum(branch.values()) + SLIP / _WIDTH)


def _logp(
    tree: _Tree, before: tuple[int, ...], allowed: tuple[int, ...] | None, temperature: float
) -> Floats:
    """log π of every token; −∞ for what is not allowed."""
    logp_V = np.full(_WIDTH, math.log(SLIP / _WIDTH) if before in tree else -math.log(_WIDTH))
    for token in tree.get(before, ()):
        logp_V[token] = _logp_of(tree, before, token)
    if allowed is not None:
        logp_V[~np.isin(np.arange(_WIDTH), allowed)] = -np.inf
    logp_V = logp_V / temperature
    top = float(logp_V.max())
    return logp_V - top - math.log(float(np.exp(logp_V - top).sum()))
