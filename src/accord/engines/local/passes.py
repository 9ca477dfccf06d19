"""The pieces of a Llama layer as autograd functions that save little and launch few kernels.

Each is its formula forwards and its derivative backwards, in the dtype of what comes in (float32 or bfloat16;
sums over tokens in float32). ``tests`` hold every one to autograd's own derivative in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.autograd import Function

if TYPE_CHECKING:
    from accord.engines.local.fused import Fused
    from accord.engines.local.layout import Job

__all__ = ["attend", "attended", "gated", "lengths", "normed", "product", "turned"]


def lengths(x_TD: Tensor) -> Tensor:
    """The Euclidean length of each row, [T, 1]."""
    return cast(Tensor, cast(Any, torch.linalg).vector_norm(x_TD, dim=1, keepdim=True))


class _Normed(Function):
    @staticmethod
    def forward(ctx: Any, x_TD: Tensor, weight_D: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        scale_T1 = torch.rsqrt(lengths(x_TD).square_() / x_TD.shape[1] + eps)
        ctx.save_for_backward(x_TD, scale_T1, weight_D)
        return (x_TD * scale_T1).mul_(weight_D).to(dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x_TD, scale_T1, weight_D = ctx.saved_tensors
        unit_TD = x_TD * scale_T1
        g_TD = grads[0].to(x_TD.dtype)
        weight_grad = (g_TD * unit_TD).sum(0) if ctx.needs_input_grad[1] else None
        g_TD = g_TD * weight_D
        mean_T1 = (g_TD * unit_TD).mean(1, keepdim=True)
        return g_TD.addcmul_(unit_TD, mean_T1, value=-1).mul_(scale_T1), weight_grad, None, None


def normed(x_TD: Tensor, weight_D: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
    """x / rms(x) · weight, computed in the dtype of x, returned in ``dtype``."""
    return cast(Tensor, cast(Any, _Normed).apply(x_TD, weight_D, eps, dtype))


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x_TI: Tensor, linear: Fused, adapted: bool, *trained: Tensor) -> Tensor:
        del trained
        y_TO = torch.nn.functional.linear(x_TI, linear.weight, linear.bias)
        low_TR = None
        if adapted:
            low_TR = x_TI @ linear.down.t()
            y_TO.addmm_(low_TR, linear.up.t())
        ctx.linear, ctx.adapted = linear, adapted
        ctx.save_for_backward(*(t for t in (x_TI, low_TR) if t is not None))
        return y_TO

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        linear: Fused = ctx.linear
        g_TO = grads[0]
        x_TI, low_TR = ctx.saved_tensors if ctx.adapted else (*ctx.saved_tensors, None)
        x_grad = None
        if ctx.needs_input_grad[0]:
            x_grad = g_TO @ linear.weight
        found: list[Tensor | None] = [None] * len(linear.trained)
        if low_TR is not None:
            low_grad = g_TO @ linear.up
            found = list(linear.adapter_grads(x_TI, low_TR, g_TO, low_grad))
            if x_grad is not None:
                x_grad.addmm_(low_grad, linear.down)
        elif linear.full:
            found = list(linear.weight_grads(x_TI, g_TO))
        return (x_grad, None, None, *found)


def product(x_TI: Tensor, linear: Fused, adapted: bool) -> Tensor:
    """x·Wᵀ (+ bias) of several linear layers at once, with their adapters' share where ``adapted``."""
    adapted = adapted and linear.adapters > 0
    trained = linear.trained if adapted or linear.full else []
    return cast(Tensor, cast(Any, _Product).apply(x_TI, linear, adapted, *trained))


class _Gated(Function):
    @staticmethod
    def forward(ctx: Any, gate_up_TF: Tensor) -> Tensor:
        ctx.save_for_backward(gate_up_TF)
        gate, up = gate_up_TF.chunk(2, 1)
        return torch.nn.functional.silu(gate).mul_(up)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (gate_up_TF,) = ctx.saved_tensors
        gate, up = gate_up_TF.chunk(2, 1)
        out = torch.empty_like(gate_up_TF)
        # silu′(z) = σ(z)·(1 + z·(1 − σ(z))), one kernel of torch's own.
        torch.ops.aten.silu_backward.grad_input(grads[0] * up, gate, grad_input=out[:, : gate.shape[1]])
        torch.mul(torch.nn.functional.silu(gate), grads[0], out=out[:, gate.shape[1] :])
        return out


def gated(gate_up_TF: Tensor) -> Tensor:
    """silu(first half) · second half."""
    return cast(Tensor, cast(Any, _Gated).apply(gate_up_TF))


def turned(x_THD: Tensor, turn: tuple[Tensor, Tensor], back: bool = False) -> Tensor:
    """Rotary positions: x·cos + rotate_half(x)·sin, where ``turn`` holds sin with the sign of the halves.

    ``back`` is the inverse, which is also the transpose.
    """
    half = x_THD.shape[2] // 2
    crossed = torch.cat([x_THD[..., half:], x_THD[..., :half]], 2)
    return torch.addcmul(x_THD * turn[0], crossed, turn[1], value=-1 if back else 1)


class _Attend(Function):
    """Softmax attention within jobs, after rotary positions. Query heads that share keys are more rows."""

    @staticmethod
    def forward(
        ctx: Any,
        qkv_TD: Tensor,
        turn: tuple[Tensor, Tensor],
        shape: tuple[int, int, int],
        jobs: tuple[Job, ...],
    ) -> Tensor:
        heads, shared, size = shape
        each_THD = qkv_TD.view(len(qkv_TD), -1, size)
        wide = turned(each_THD[:, : heads + shared], turn)
        q_THD, k_TSD, v_TSD = wide[:, :heads], wide[:, heads:], each_THD[:, heads + shared :]
        kept: list[Tensor] = []
        out = attended(q_THD, k_TSD, v_TSD, jobs, kept)
        ctx.save_for_backward(qkv_TD, out, q_THD, k_TSD, *kept)
        ctx.turn, ctx.shape, ctx.jobs = turn, shape, jobs
        return out.flatten(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        heads, shared, size = ctx.shape
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        (qkv_TD, out, q_THD, k_TSD), kept = saved[:4], saved[4:]
        v_TSD = qkv_TD.view(len(qkv_TD), -1, size)[:, heads + shared :]
        g_THD = grads[0].view(len(qkv_TD), heads, size)
        # Σ over keys of dp·p, per query: what the softmax takes off.
        off_TH1 = (g_THD * out).sum(2, keepdim=True)
        q_grad = torch.empty_like(q_THD)
        wide = torch.promote_types(k_TSD.dtype, torch.float32)
        k_grad, v_grad = (torch.zeros_like(k_TSD, dtype=wide) for _ in range(2))
        for job, p in zip(ctx.jobs, kept, strict=True):
            q, k, v = _queries(q_THD, job, shared), _keys(k_TSD, job), _keys(v_TSD, job)
            g, off = (_queries(x, job, shared, real=True) for x in (g_THD, off_TH1))
            s_grad = (g @ v.transpose(2, 3)).sub_(off).mul_(p).mul_(size**-0.5)
            _put(q_grad, s_grad @ k, job, heads)
            _add(k_grad, s_grad.transpose(2, 3) @ q, job)
            _add(v_grad, p.transpose(2, 3) @ g, job)
        whole = torch.empty_like(qkv_TD)
        each_THD = whole.view(len(whole), -1, size)
        each_THD[:, :heads] = turned(q_grad, ctx.turn, back=True)
        each_THD[:, heads : heads + shared] = turned(k_grad.to(q_grad.dtype), ctx.turn, back=True)
        each_THD[:, heads + shared :] = v_grad
        return whole, None, None, None


def attend(
    qkv_TD: Tensor, turn: tuple[Tensor, Tensor], shape: tuple[int, int, int], jobs: tuple[Job, ...]
) -> Tensor:
    """What each token reads of the tokens its job shows it. ``shape``: query heads, key heads, head size."""
    return cast(Tensor, cast(Any, _Attend).apply(qkv_TD, turn, shape, jobs))


def attended(
    q_THD: Tensor,
    k_TSD: Tensor,
    v_TSD: Tensor,
    jobs: tuple[Job, ...],
    kept: list[Tensor] | None = None,
    scale: float = 0.0,
) -> Tensor:
    """The forward pass of ``attend`` after rotary positions; the softmax weights go to ``kept``.

    ``scale`` is what q·k is multiplied with; 0 stands for the usual 1/√D.
    """
    heads, shared = q_THD.shape[1], k_TSD.shape[1]
    out = torch.empty_like(q_THD)
    for job in jobs:
        p = _weights(_queries(q_THD, job, shared), _keys(k_TSD, job), job, scale or q_THD.shape[2] ** -0.5)
        _put(out, p @ _keys(v_TSD, job), job, heads)
        if kept is not None:
            kept.append(p)
    return out


def _queries(x_THD: Tensor, job: Job, shared: int, real: bool = False) -> Tensor:
    """[N, key heads, query heads per key head × Q, D]; ``real`` zeroes what is padding."""
    n, width = job.ask_NQ.shape
    x = x_THD.index_select(0, job.ask_NQ.flatten()).view(n, width, shared, -1, x_THD.shape[2])
    if real:
        x = x * job.real_NQ[:, :, None, None, None]
    return x.permute(0, 2, 3, 1, 4).reshape(n, shared, -1, x_THD.shape[2])


def _keys(x_TSD: Tensor, job: Job) -> Tensor:
    n, width = job.look_NK.shape
    return x_TSD.index_select(0, job.look_NK.flatten()).view(n, width, *x_TSD.shape[1:]).transpose(1, 2)


def _weights(q: Tensor, k: Tensor, job: Job, scale: float) -> Tensor:
    s = torch.promote_types(q.dtype, torch.float32)
    scores = (q @ k.transpose(2, 3)).to(s).mul_(scale)
    n, shared, _, keys = scores.shape
    scores.view(n, shared, -1, job.ask_NQ.shape[1], keys).add_(job.bar_NQK[:, None, None])
    return torch.softmax(scores, 3).to(q.dtype)


def _put(into_THD: Tensor, rows: Tensor, job: Job, heads: int) -> None:
    """Back to the packed places, padding dropped. No two places of jobs are the same token's."""
    n, width = job.ask_NQ.shape
    flat = rows.view(n, -1, width, into_THD.shape[2]).permute(0, 2, 1, 3).reshape(n * width, heads, -1)
    real = job.real_NQ.flatten()
    into_THD[job.ask_NQ.flatten()[real]] = flat[real]


def _add(into_TSD: Tensor, rows: Tensor, job: Job) -> None:
    flat = rows.transpose(1, 2).reshape(-1, *into_TSD.shape[1:]).to(into_TSD.dtype)
    into_TSD.index_add_(0, job.look_NK.flatten(), flat)
