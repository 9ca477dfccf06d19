"""What OpenMP's waiting policy costs when another process wants a core: ms per small bf16 product.

Each policy runs in a process of its own, alone and beside a busy one, in turns; medians over the rounds.

    python bench/threads.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

POLICIES = {"spin (libgomp's default)": {}, "sleep at once (PASSIVE)": {"OMP_WAIT_POLICY": "PASSIVE"}}
MEASURE = """
import time, torch
x, w = torch.randn(64, 576).bfloat16(), torch.randn(1536, 576).bfloat16()
for _ in range(5):
    torch.nn.functional.linear(x, w)
began = time.perf_counter()
for _ in range(200):
    torch.nn.functional.linear(x, w)
print((time.perf_counter() - began) / 200 * 1e3)
"""


def measured(policy: dict[str, str], busy: bool) -> float:
    """Milliseconds per product of 64 rows by 576 × 1536."""
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        run = [sys.executable, "-c", MEASURE]
        done = subprocess.run(run, env={**clean, **policy}, capture_output=True, text=True, check=True)
        return float(done.stdout)
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for name, policy in POLICIES.items():
            for busy in (False, True):
                found.setdefault((name, busy), []).append(measured(policy, busy))
    for (name, busy), times in found.items():
        place = "beside a busy process" if busy else "alone"
        spread = f"{min(times):.2f}–{max(times):.2f}"
        print(f"{name:26} {place:22} median {statistics.median(times):6.2f} ms  ({spread}, n={len(times)})")


if __name__ == "__main__":
    main()
