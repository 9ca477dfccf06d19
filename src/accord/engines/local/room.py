"""How much memory this process holds, and how much it may come to hold: machine, control groups, device."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import torch

__all__ = ["held", "left", "room"]

_PROC, _GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def held(device: torch.device) -> int:
    """Bytes that this process has now: on a GPU in tensors there, else resident in memory."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.memory_allocated(device))
    try:
        pages = int((_PROC / "self" / "statm").read_text(encoding="ascii").split()[1])
    except OSError:
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes, on macOS bytes
        return most if os.uname().sysname == "Darwin" else most << 10
    return pages * os.sysconf("SC_PAGE_SIZE")


def room(device: torch.device) -> int:
    """Bytes that this process can come to hold there, what it has included."""
    if device.type == "cuda":
        import torch

        free = int(cast(Any, torch.cuda).mem_get_info(device)[0])
        # What torch has reserved and given to no tensor is free for tensors too.
        return free + int(torch.cuda.memory_reserved(device))
    have = held(device)
    return have + left(have)


def left(have: int, proc: Path = _PROC, groups: Path = _GROUPS) -> int:
    """Bytes of the machine's memory that can still be had: the least of what it and control groups leave.

    ``have`` is what this process holds, which counts where nothing tells how much is available.
    """
    found = [max(0, limit - used) for limit, used in _limits(proc, groups)]
    info = proc / "meminfo"
    if info.is_file():
        kib = dict(re.findall(r"^(\w+):\s+(\d+) kB$", info.read_text(encoding="utf-8"), re.MULTILINE))
        found.append(int(kib.get("MemAvailable", kib["MemFree"])) << 10)
    else:
        found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") - have)
    return min(found)


def _limits(proc: Path, groups: Path) -> Iterator[tuple[int, int]]:
    """Limit and use of the control group this process is in, and of those around it; use without caches."""
    of = proc / "self" / "cgroup"
    lines = of.read_text(encoding="utf-8").splitlines() if of.is_file() else []
    for line in lines or ["0::/"]:
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top = groups / "memory" if kinds else groups
        names = ("limit_in_bytes", "usage_in_bytes", "total_inactive_file")
        limit, use, cache = names if kinds else ("max", "current", "inactive_file")
        inside = top / path.lstrip("/")
        for folder in {inside, *inside.parents, top}:
            if folder != top and top not in folder.parents:
                continue
            most, now = (_number(folder / f"memory.{name}") for name in (limit, use))
            if most is not None and now is not None:
                yield most, now - (_number(folder / "memory.stat", cache) or 0)


def _number(file: Path, name: str = "") -> int | None:
    """The number in a file, or the one behind ``name`` in it; None where there is none, as for "max"."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(rf"^{name}\s*(\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else None
