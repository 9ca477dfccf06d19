"""What stages are estimated to take, against what they take: peak memory and seconds, two stages.

    python bench/estimate.py [--model smollm2-135m-instruct] [--stages sft,grpo,full]

Each stage runs in a process of its own, as a plan of one stage with its guard. Memory is the peak of the
process's resident memory; seconds are those of training, without opening models and writing the result. Times
of a machine that others use too say little: the load is printed beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_REWARD = (
    "def long_words(prompts, answers):\n    return [sum(len(w) > 5 for w in a.split()) for a in answers]\n"
)
_THINGS = ("a river", "the night bus", "an old clock", "two neighbours", "a lighthouse", "the last apple")
_GUARD = {"every": 4, "probes": 8, "answers": 4, "max_tokens": 32}
_OFFLINE = {"name": "offline", "data": "said.jsonl", "per_window": 32}
_ROLLOUTS = {"name": "rollouts", "prompts": "said.jsonl", "per_window": 4, "max_tokens": 48}
_OVERSEER = {"name": "program", "fn": "reward.py:long_words"}
_ASK = [{"name": "each", "column": "score", "collapse": "distribution", "overseer": _OVERSEER}]
_ADAPTED, _WHOLE = ({"name": "local", "adapter": adapter} for adapter in ("lora", "full"))
STAGES: dict[str, dict[str, Any]] = {
    "sft": {"source": _OFFLINE, "method": {"name": "sft", "rows_per_step": 8}, "learner": _ADAPTED},
    "grpo": {"source": _ROLLOUTS, "ask": _ASK, "method": {"name": "grpo", "n": 8}, "learner": _ADAPTED},
    "full": {"source": _OFFLINE, "method": {"name": "sft", "rows_per_step": 8}, "learner": _WHOLE},
}


def write_files(folder: Path) -> None:
    """Prompts with answers of some hundred words, and a reward."""
    (folder / "reward.py").write_text(_REWARD, encoding="utf-8")
    rows = [
        {
            "prompt": f"A story of {i + 3} parts about {_THINGS[i % 6]} and {_THINGS[(i + 1) % 6]}, please.",
            "completion": " ".join(
                f"In part {k} {_THINGS[(i + k) % 6]} met {_THINGS[(i * k) % 6]}." for k in range(i % 12 + 3)
            ),
        }
        for i in range(64)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "said.jsonl").write_text(text, encoding="utf-8")


def child(name: str, model: str) -> None:
    """Run the stage and print one line of JSON."""
    from accord.engines.local import calm_threads

    calm_threads()
    from accord import pipeline
    from accord.engines.local import foresight
    from accord.loop import Loop
    from accord.plan import Plan

    found: dict[str, Any] = {}
    foreseen, train = foresight.foreseen, Loop.train

    def watched(shop: foresight.Workshop, ahead: Any) -> Any:
        began, busy = time.perf_counter(), time.process_time()
        estimate = foreseen(shop, ahead)
        found.update(took=time.perf_counter() - began, busy=time.process_time() - busy)
        found.update(predicted=[estimate.peak, estimate.seconds])
        found.update(parts=dict(estimate.parts), told=estimate.told)
        return estimate

    def timed(loop: Loop) -> Any:
        began = time.perf_counter()
        decision = train(loop)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        found["measured"] = [peak, time.perf_counter() - began]
        return decision

    foresight.foreseen, Loop.train = watched, timed
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        stage = {"name": name, "windows": 4, "guard": _GUARD, **STAGES[name]}
        plan = {"name": "estimate", "purpose": "explore", "model": model, "stage": [stage]}
        runs = Path(folder) / "runs"
        pipeline.run(Plan.model_validate(plan), runs=runs, store="none", beside=Path(folder))
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--stages", default="sft,grpo,full")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        child(given.only, given.model)
        return
    columns = f"{'measured':>9} {'ratio':>6}"
    print(f"{'stage':6} {'memory':>9} {columns}   {'seconds':>8} {columns}")
    for name in given.stages.split(","):
        own = [sys.executable, __file__, "--model", given.model, "--only", name]
        load = os.getloadavg()[0]
        done = subprocess.run(own, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name:6} failed: {done.stderr.strip()[-2000:]}")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        (memory, seconds), (peak, took) = found["predicted"], found["measured"]
        print(
            f"{name:6} {memory / 2**20:5.0f} MiB {peak / 2**20:5.0f} MiB {memory / peak:6.2f}   "
            f"{seconds:6.1f} s {took:7.1f} s {seconds / took:6.2f}   "
            f"(load {load:.1f}; the estimate took {found['took']:.1f} s, {found['busy']:.1f} s of processors)"
        )
        print("       " + "\n       ".join(found["told"]))


if __name__ == "__main__":
    main()
