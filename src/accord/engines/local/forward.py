"""Forward passes over masked sequences: packed where the family allows it, padded rows where not.

Both give the states that predict answer tokens; the head runs on those alone. Opening compares with the
model's own logits and falls back where they differ; ``note`` says which way was taken and why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from accord.engines.local.adapters import adapter
from accord.engines.local.columns import columns
from accord.engines.local.head import Choices, Head, WholeLogits
from accord.engines.local.layout import Layout, packed, said_A
from accord.engines.local.llama import PackedLlama, refusal
from accord.engines.local.tree import treed
from accord.errors import ContractError
from accord.records import Sequence as Masked

__all__ = ["Answers", "Forward", "Read", "budgeted"]

_CHECKED = (24, 16, 9)  # tokens of a shared prompt and of two answers, which the opening compares
# Relative to the largest logit. bfloat16 keeps 8 bits, and thirty layers add up; in float64 the norms of
# transformers are float32 still.
_TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-4, torch.bfloat16: 4e-2}


class Read(NamedTuple):
    """States of all tokens in a row, where answer tokens (_A) are predicted, where sequences (_S) end.

    ``said``: where the answer tokens themselves stand, for those who ask.
    """

    state_TD: Tensor
    normed: Callable[[Tensor], Tensor]
    at_A: Tensor
    sequence_A: Tensor
    last_S: Tensor
    choices: Choices
    said: Callable[[], Tensor]

    def states(self, places: Tensor) -> Tensor:
        """What a head reads at these places."""
        return self.normed(self.state_TD[places])


class Path(Protocol):
    """One way through the body of a model."""

    @property
    def share(self) -> bool: ...

    @property
    def head(self) -> Head | WholeLogits: ...

    def read(self, sequences: Sequence[Masked], adapted: bool) -> Read: ...

    def scored(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        """The same where nothing but what predicts answer tokens is asked for."""
        ...

    def refresh(self, whole: bool) -> None: ...


class Answers:
    """What a loss may read of one micro-batch: satisfies the port ``Out``. Nothing unread is computed."""

    def __init__(
        self, read: Read, head: Head | WholeLogits, score: nn.Linear | None, value: Callable[[], Tensor]
    ):
        self._read, self._head, self._score, self._value = read, head, score, value
        self._logp: Tensor | None = None
        self._scored: Tensor | None = None
        self._stepped: Tensor | None = None
        self._valued: Tensor | None = None

    @property
    def logp_T(self) -> Tensor:
        """log π of every answer token, with gradient where autograd is on."""
        if self._logp is None:
            self._logp = self._head.logp(self._read.states(self._read.at_A), self._read.choices)
            if self._logp.requires_grad:
                self._logp.retain_grad()
        return self._logp

    @property
    def sequence_T(self) -> Tensor:
        return self._read.sequence_A

    @property
    def score_SK(self) -> Tensor:
        """What the score heads say at the last real token of each sequence, float32."""
        if self._scored is None:
            self._scored = self._scores("score_SK", self._read.last_S)
        return self._scored

    @property
    def score_TK(self) -> Tensor:
        """What the score heads say at each answer token itself, float32."""
        if self._stepped is None:
            self._stepped = self._scores("score_TK", self._read.said())
            if self._stepped.requires_grad:
                self._stepped.retain_grad()
        return self._stepped

    @property
    def seen_SK(self) -> Tensor | None:
        """``score_SK`` if the loss has read it."""
        return self._scored

    @property
    def taught_TK(self) -> Tensor | None:
        """The rows of ``score_TK`` that the objective pulls at, after the backward pass; None where it was
        not read."""
        if self._stepped is None or self._stepped.grad is None:
            return None
        return self._stepped[(self._stepped.grad != 0).any(1)]

    @property
    def value_T(self) -> Tensor:
        if self._valued is None:
            self._valued = self._value()
        return self._valued

    @property
    def felt_2T(self) -> Tensor | None:
        """After the backward pass ∂objective/∂log π and log π, float64; None where the loss reads none."""
        if self._logp is None:
            return None
        pressure_T = torch.zeros_like(self._logp) if self._logp.grad is None else self._logp.grad
        return torch.stack([pressure_T, self._logp.detach()]).double()

    def _scores(self, name: str, places: Tensor) -> Tensor:
        if self._score is None:
            raise ContractError("the method", "asks for score heads in Needs.scores", f"reads {name} without")
        state = self._read.states(places)
        return nn.functional.linear(state.to(self._score.weight.dtype), self._score.weight)


class Forward:
    """Passes through one model. The parameters stay the model's own; call ``refresh`` after they changed."""

    def __init__(
        self, model: PreTrainedModel, dtype: torch.dtype = torch.float32, *, adopted: bool = False
    ) -> None:
        """``adopted``: somebody else trains it, so its parameters must stay where they lie."""
        self.model = model
        own = model.dtype
        reason = "its parameters stay where they lie" if adopted else refusal(model)
        self._plain = _Padded(model)
        self._path: Path = self._plain
        if (windows := _windowed(model)) is not None:
            self._path, self.note = windows, f"windows before answer tokens alone, in {_name(own)}"
            return
        self.note = f"padded rows in {_name(own)}: {reason}" if reason else ""
        if not reason:
            self._check(_Packed(model, torch.float64 if own == torch.float64 else dtype))

    @property
    def share(self) -> bool:
        """Whether sequences with one prompt are computed together; decides how micro-batches are cut."""
        return self._path.share

    @property
    def recompute(self) -> bool:
        """Whether the backward pass computes layers again instead of keeping what it needs of them."""
        path: object = self._path
        return isinstance(path, _Packed) and path.body.recompute

    @recompute.setter
    def recompute(self, wanted: bool) -> None:
        path: object = self._path
        if isinstance(path, _Packed):
            path.body.recompute = wanted

    def refresh(self, whole: bool = False) -> None:
        """Call after trained parameters changed; with ``whole`` after any did."""
        self._path.refresh(whole)

    def family(self) -> tuple[PackedLlama, Head] | None:
        """Body and head where the packed way is taken."""
        path: object = self._path
        return (path.body, path.head) if isinstance(path, _Packed) else None

    def read(self, sequences: Sequence[Masked], adapted: bool = True) -> Read:
        """One pass through the body."""
        return self._path.read(sequences, adapted)

    def answers(
        self, sequences: Sequence[Masked], critic: Callable[[], Tensor] | None = None, adapted: bool = True
    ) -> Answers:
        """All that a loss may ask of these sequences."""
        score = getattr(self.model, "score", None)
        return Answers(self.read(sequences, adapted), self._path.head, score, critic or _no_critic)

    @torch.inference_mode()
    def columns(
        self, sequences: Sequence[Masked], want: frozenset[str], adapted: bool = True
    ) -> dict[str, Tensor]:
        """``logp``, ``rank``, ``entropy``, ``support`` of every answer token, in order."""
        return columns(self.read(sequences, adapted), self._path.head, want)

    @torch.inference_mode()
    def scored(self, sequences: Sequence[Masked], want: frozenset[str]) -> dict[str, Tensor]:
        """The same to within rounding, for texts that are only read: in a reading tree where it can."""
        return columns(self._path.scored(sequences, True), self._path.head, want)

    @torch.no_grad()
    def _check(self, path: _Packed) -> None:
        """The packed way against the model's own padded logits, on made-up tokens.

        Not on data: the weights that a stage starts from alone decide, so a resumed run goes the same way.
        """
        words = int(cast(Any, self.model).get_input_embeddings().weight.shape[0])
        shared, *rest = (tuple((7919 * i + 13 * n) % words for i in range(n)) for n in _CHECKED)
        made = [Masked((*shared, *r), (*(False for _ in shared), *(True for _ in r))) for r in rest]
        gap = path.gap(made, self._plain)
        how = f"packed, shared prompts computed once, in {_name(path.dtype)}"
        if gap <= _TOLERANCE[path.dtype]:
            self._path, self.note = path, how
            return
        self.note = f"padded rows: {how} differs from the model's own logits by {gap:.1e} relative"


class _Packed:
    """Packed tokens through the Llama family's own pass."""

    share = True

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._model, self.body = model, PackedLlama(model, dtype)
        embeddings = cast(Any, model).get_output_embeddings()
        # A reward model has no head over words, and nobody asks it for one.
        self.head = Head(embeddings if embeddings is not None else nn.Linear(1, 1), dtype)

    def read(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        return self._laid(packed(sequences, True, self._model.device), sequences, adapted)

    def scored(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        return self._laid(treed(sequences, self._model.device), sequences, adapted)

    def _laid(self, layout: Layout, sequences: Sequence[Masked], adapted: bool) -> Read:
        return Read(
            state_TD=self.body.hidden(layout, adapted),
            normed=self.body.last_norm,
            at_A=layout.at_A,
            sequence_A=layout.sequence_A,
            last_S=layout.last_S,
            choices=Choices(layout.chosen_A, layout.temperature_A, layout.allowed),
            said=lambda: said_A(sequences, True, self._model.device),
        )

    def refresh(self, whole: bool) -> None:
        self.body.refresh(whole)
        self.head.refresh(whole)

    def gap(self, sequences: Sequence[Masked], plain: _Padded) -> float:
        """How far it is from the padded way: the length of the difference over the length of that."""
        ours, theirs = self.read(sequences, True), plain.read(sequences, True)
        a, b = ours.states(ours.at_A), theirs.states(theirs.at_A)
        if cast(Any, self._model).get_output_embeddings() is not None:
            a = torch.cat([logits for logits, _ in self.head.logits(a, ours.choices)])
            b = torch.cat([logits for logits, _ in plain.head.logits(b, theirs.choices)])
        finite = torch.isfinite(b)
        if a.shape != b.shape or not bool(torch.isfinite(a[finite]).all()):
            return float("inf")
        apart, whole = ((x[finite].double() ** 2).sum() for x in (a - b, b))
        return float((apart / (whole + 1e-24)).sqrt())


class _Padded:
    """Padded on the right and read causally, so padding cannot reach a real token and no mask is needed."""

    share = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._head: Head | WholeLogits | None = None

    @property
    def head(self) -> Head | WholeLogits:
        """The head alone where that gives the model's logits, else the logits of every position."""
        if self._head is None:
            self._head = self._found_head()
        return self._head

    def read(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        device = self._model.device
        width = max(len(s.tokens) for s in sequences)
        tokens = torch.zeros(len(sequences), width, dtype=torch.long)
        for i, s in enumerate(sequences):
            tokens[i, : len(s.tokens)] = torch.tensor(s.tokens)
        # The logits that chose token p stand at p − 1; a token with nothing before it cannot be scored.
        at = [(i, p) for i, s in enumerate(sequences) for p, chosen in enumerate(s.answer) if chosen]
        if any(p == 0 for _, p in at):
            raise ValueError("an answer needs at least one prompt token before it")
        place = torch.tensor(at, dtype=torch.long).reshape(-1, 2)
        heat = torch.tensor([s.temperature for s in sequences], dtype=torch.float32)
        last = torch.tensor([i * width + len(s.tokens) - 1 for i, s in enumerate(sequences)])
        choices = Choices(
            tokens[place[:, 0], place[:, 1]].to(device),
            heat[place[:, 0]].to(device),
            {t: a for t, (i, _) in enumerate(at) if (a := sequences[i].allowed) is not None},
        )
        with adapter(self._model, adapted):
            states = self._states(tokens.to(device))
        return Read(
            state_TD=states.flatten(0, 1),
            normed=_as_they_are,
            at_A=(place[:, 0] * width + place[:, 1] - 1).to(device),
            sequence_A=place[:, 0].to(device),
            last_S=last.to(device),
            choices=choices,
            said=lambda: (place[:, 0] * width + place[:, 1]).to(device),
        )

    def scored(self, sequences: Sequence[Masked], adapted: bool) -> Read:
        return self.read(sequences, adapted)

    def refresh(self, whole: bool) -> None:
        if self._head is not None:
            self._head.refresh(whole)

    def _states(self, tokens_SL: Tensor) -> Tensor:
        if isinstance(self.head, WholeLogits):
            return _all_logits(self._model, tokens_SL)
        return cast(Tensor, self._model.base_model(input_ids=tokens_SL, use_cache=False)[0])

    @torch.no_grad()
    def _found_head(self) -> Head | WholeLogits:
        linear = cast(Any, self._model).get_output_embeddings()
        if linear is None or self._model.base_model is self._model:
            scores = getattr(self._model, "score", None) is not None
            return Head(nn.Linear(1, 1), torch.float32) if scores else WholeLogits("it has no separate head")
        tokens = torch.arange(1, 9, device=self._model.device)[None]
        head = Head(linear, linear.weight.dtype)
        whole = _all_logits(self._model, tokens)[0]
        state = cast(Tensor, self._model.base_model(input_ids=tokens, use_cache=False)[0])[0]
        alone = head.raw(state)
        gap = float((alone - whole).abs().max()) / (float(whole.abs().max()) + 1e-12)
        if alone.shape == whole.shape and gap <= _TOLERANCE.get(whole.dtype, 1e-4):
            return head
        return WholeLogits(f"the head alone differs by {gap:.1e} relative")


def budgeted(sizes: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indices in groups, longest first, whose padded size (count × longest) stays within the budget.

    >>> list(budgeted([3, 9, 4, 2], 10))
    [[1], [2, 0], [3]]
    """
    group: list[int] = []
    longest = 0
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        if group and (len(group) + 1) * longest > budget:
            yield group
            group = []
        if not group:
            longest = max(1, sizes[index])
        group.append(index)
    if group:
        yield group


def _windowed(model: PreTrainedModel) -> Path | None:
    """The way of the model ``window``, whose file needs this one."""
    from accord.engines.local.windowed import Windows

    return Windows.of(model)


def _as_they_are(rows: Tensor) -> Tensor:
    return rows


def _no_critic() -> Tensor:
    raise ContractError("the method", "asks for a critic in Needs.critic", "reads value_T without")


def _all_logits(model: PreTrainedModel, tokens_SL: Tensor) -> Tensor:
    return cast(Tensor, model(input_ids=tokens_SL, use_cache=False).logits)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
