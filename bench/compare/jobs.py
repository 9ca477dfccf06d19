"""Run one side of a case in a process of its own, in its own environment, and hand back what it wrote."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Failed", "Places", "run"]

ROOT = Path(__file__).resolve().parents[1]
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "ACCORD_CACHE", "SSL_CERT_FILE")


class Failed(Exception):
    """A process ended badly; the message is the end of what it said."""


class Places(NamedTuple):
    """Where the environments are, where scratch files go, and how many threads every process gets."""

    pythons: Mapping[str, Path]
    work: Path
    threads: int
    limit: float


def run(places: Places, environment: str, script: str, job: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a job. Failed with the end of its output where there is none."""
    python = Path(sys.executable) if environment == "accord" else places.pythons[environment]
    stem = places.work / "job"
    out = stem.with_suffix(".out")
    out.unlink(missing_ok=True)
    stem.with_suffix(".json").write_text(json.dumps({**job, "out": str(out)}), encoding="utf-8")
    said = stem.with_suffix(".log")
    with said.open("w", encoding="utf-8") as log:
        try:
            done = subprocess.run(
                [python, ROOT / script, stem.with_suffix(".json")],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=surroundings(places, job.get("variant", {})),
                timeout=places.limit,
            )
            code = done.returncode
        except subprocess.TimeoutExpired:
            raise Failed(f"no result within {places.limit:.0f} s") from None
    if code != 0 or not out.exists():
        lines = [
            line for line in said.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        raise Failed(f"exit {code}: {placeless(lines[-1]) if lines else 'it said nothing'}")
    return json.loads(out.read_text(encoding="utf-8"))


def placeless(line: str) -> str:
    """A line of some program's output without the folders of this machine: it is written into results.

    >>> placeless("  OSError: /srv/a-b/x.py and ./y/z, not 3/4")
    'OSError: x.py and ./y/z, not 3/4'
    """
    return re.sub(r"(?<![\w.])(?:/[\w.@+-]+)+/", "", line.strip())[:300]


def surroundings(places: Places, variant: Mapping[str, Any]) -> dict[str, str]:
    """The same few variables for all: threads, no network, scratch folders; OpenMP as the variant says."""
    own = {name: os.environ[name] for name in _KEPT if name in os.environ}
    threads = str(places.threads)
    own |= {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
    own |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(places.work / "hf"), "DO_NOT_TRACK": "1"}
    own |= {"VLLM_CACHE_ROOT": str(places.work / "vllm"), "VLLM_CPU_KVCACHE_SPACE": "2"}
    if variant.get("wait") == "passive":
        own["OMP_WAIT_POLICY"] = "PASSIVE"
    if bind := variant.get("bind"):
        cores = sorted(os.sched_getaffinity(0))[: places.threads]
        own["VLLM_CPU_OMP_THREADS_BIND"] = bind if bind == "nobind" else ",".join(map(str, cores))
    return own
