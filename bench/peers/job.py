"""What every script that the bench starts has in common: read a job, say what it took, know no library."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any


def read_job() -> dict[str, Any]:
    """The job that the command line names, with ``work`` replaced by the prepared tokens it points to."""
    with contextlib.suppress(OSError):
        # Where memory runs out, it is this process that ends, not whatever else the machine does.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    job["work"] = json.loads(Path(job["work"]).read_text(encoding="utf-8"))
    return job


def write_result(job: dict[str, Any], packages: tuple[str, ...], **found: Any) -> None:
    """What was found, with this process's peak memory and the versions that it ran, under its final name."""
    own, others = (resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    result = {
        **found,
        "rss_mib": round(own / 1024),
        "children_rss_mib": round(others / 1024),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    out = Path(job["out"])
    part = out.with_suffix(".part")
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(out)


def batch(job: dict[str, Any], name: str, step: int) -> list[Any]:
    """The rows of one optimizer step; steps beyond the prepared ones begin again at the first."""
    batches = job["work"][name]
    return batches[step % len(batches)]
