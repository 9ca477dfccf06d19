"""What attention costs forwards and backwards: explicit products, torch's fused call, our whole pass.

32 answers of 48 tokens, eight behind each of four prompts of 130, in the shape of SmolLM2 (nine heads, three
of keys). ``products`` and ``fused`` do the same on the same gathered queries and keys; ``whole`` is our pass
with rotary positions, the prompts' attention and gathering. ``--dtype float32`` shows the other precision.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from accord.engines.local import calm_threads

calm_threads()

import torch  # noqa: E402 - after the policy for threads that wait

from accord.engines.local.layout import packed  # noqa: E402
from accord.engines.local.passes import attend  # noqa: E402
from accord.records import Sequence  # noqa: E402

GROUPS, ANSWERS, PROMPT, SAID = 4, 8, 130, 48
HEADS, SHARED, SIZE = 9, 3, 64


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    words.add_argument("--rounds", type=int, default=9)
    given = words.parse_args()
    dtype = getattr(torch, given.dtype)
    torch.manual_seed(0)
    calls = {
        "products": _gathered(dtype, _products),
        "fused": _gathered(dtype, _fused),
        "whole": _ours(dtype),
    }
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(given.rounds + 1):  # in turns, the first dropped
        for name, call in calls.items():
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(found[1:]) * 1e3 for name, found in times.items()}
    for name, middle in medians.items():
        print(f"{name:9} {middle:6.1f} ms forwards and backwards, {given.dtype}")
    print(f"fused / products: {medians['fused'] / medians['products']:.2f}")


def _ours(dtype: torch.dtype) -> Callable[[], object]:
    rows = [
        Sequence((*(p + 10 * i for i in range(PROMPT)), *range(SAID)), (False,) * PROMPT + (True,) * SAID)
        for p in range(GROUPS)
        for _ in range(ANSWERS)
    ]
    layout = packed(rows, True, torch.device("cpu"))
    tokens = len(layout.tokens_T)
    qkv = torch.randn(tokens, (HEADS + 2 * SHARED) * SIZE, dtype=dtype, requires_grad=True)
    turn = (torch.ones(tokens, 1, SIZE, dtype=dtype), torch.zeros(tokens, 1, SIZE, dtype=dtype))
    grad = torch.randn(tokens, HEADS * SIZE, dtype=dtype)
    return lambda: torch.autograd.grad(attend(qkv, turn, (HEADS, SHARED, SIZE), layout.jobs), qkv, grad)


def _gathered(dtype: torch.dtype, attention: Callable[..., torch.Tensor]) -> Callable[[], object]:
    rows, times = GROUPS * ANSWERS, HEADS // SHARED
    q = torch.randn(rows, SHARED, times * SAID, SIZE, dtype=dtype, requires_grad=True)
    k, v = (torch.randn(rows, SHARED, PROMPT + SAID, SIZE, dtype=dtype, requires_grad=True) for _ in range(2))
    later = torch.ones(SAID, SAID, dtype=torch.bool).triu(1)
    own = torch.zeros(SAID, SAID).masked_fill_(later, -torch.inf)
    bar = torch.cat([torch.zeros(SAID, PROMPT), own], 1).repeat(times, 1).to(dtype)
    grad = torch.randn_like(q)
    return lambda: torch.autograd.grad(attention(q, k, v, bar), (q, k, v), grad)


def _products(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bar: torch.Tensor) -> torch.Tensor:
    scores = (q @ k.transpose(2, 3)).float().mul(SIZE**-0.5).add(bar)
    return torch.softmax(scores, 3).to(q.dtype) @ v


def _fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bar: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bar)


if __name__ == "__main__":
    main()
