"""Reviving: a model is loaded in a fresh process that has no network and runs no code of the model's own.

The process is this file, run as a module. Before it loads anything it closes itself in with an audit hook,
which Python cannot take off again: no connection but to a socket in the file system, no lookup of a name, and
no code whose file lies in the model's folder or where transformers puts code that came with a model. What it
needs of the disk (caches, modules) is an empty folder of its own. Satisfies ``accord.keep.revival.Replays``.

A hook holds what goes through Python. Native code, which weights and tokenizers in the kept formats do not
bring along, could open a socket past it.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import selectors
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, cast

from accord import __version__
from accord.errors import AccordError, PlanError
from accord.keep.revival import PROMPTS, Asked, Replayed, Replays, answered
from accord.progress import Progress
from accord.records import JSON, Prompt, Response, finite, read_record
from accord.stores.foreign.prompts import read_rows

if TYPE_CHECKING:
    from accord.assembly import Engine

__all__ = ["PATIENCE", "fresh", "reference_prompts", "replays"]

PATIENCE = 3600.0
"""Seconds; to load a large model from a slow disk takes many minutes, in which nothing is told."""

_TICKED, _TICK = re.compile(rb"\+\d{1,9}(\.\d{1,9})?"), 64
_ASKED, _TOLD, _ERRORS, _OWN = "asked.json", "told.json", "errors.txt", "own"
_CLOSED = frozenset(
    {
        "socket.bind",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.getnameinfo",
        "socket.sendmsg",
        "socket.sendto",
    }
)
# What must not reach it: where to fetch from, with which rights, and settings that let remote code run.
_KEPT_OUT = ("HF_", "HUGGING_FACE_", "TRANSFORMERS_", "ACCORD_")


def replays() -> Replays | None:
    """``fresh`` where the packages that load models are installed, else None."""
    return fresh if find_spec("torch") is not None and find_spec("transformers") is not None else None


def reference_prompts(count: int = PROMPTS) -> tuple[Prompt, ...]:
    """The prompts of a reference set: ``count`` that ship with Accord, short and of many kinds. PlanError for
    more than there are."""
    file = Path(str(resources.files("accord") / "data" / "prompts" / "short_questions.jsonl"))
    rows = read_rows(str(file))
    if not 1 <= count <= len(rows):
        raise PlanError("--prompts", count, f"1 to {len(rows)}")
    step = len(rows) // count
    return tuple(row.prompt for row in rows[::step][:count])


def fresh(folder: Path, asked: Asked, progress: Progress, patience: float = PATIENCE) -> Replayed | str:
    """Ask the model in ``folder``, loaded in a process of its own; or why that could not be done.

    One that gives no sign for ``patience`` seconds is ended, with all that it started.
    """
    progress.begin(f"load {folder.name} afresh", float(len(asked.prompts)))
    with tempfile.TemporaryDirectory(prefix="accord-fresh-") as name:
        work = Path(name)
        (work / _OWN).mkdir()
        body: dict[str, JSON] = {
            "folder": str(folder.resolve()),
            "tokens": asked.tokens,
            "prompts": [cast(JSON, one.body()) for one in asked.prompts],
            "read": [cast(JSON, one.body()) for one in asked.read],
        }
        (work / _ASKED).write_text(json.dumps(finite(body)), encoding="utf-8")
        with (work / _ERRORS).open("wb") as errors:
            # -P: neither the current folder nor the model's is looked in for modules.
            child = subprocess.Popen(  # noqa: S603 - this very file
                [sys.executable, "-P", "-m", "accord.reviving", str(work)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=work / _OWN,
                env=_environment(work / _OWN),
                start_new_session=True,  # so that it can be ended with all that it started
            )
            try:
                silent = _follow(child, progress, patience)
            finally:
                _end(child)
        progress.end()
        if silent:
            return f"its process gave no sign for {patience:g} seconds, and was ended"
        if (work / _TOLD).is_file():
            return _told(work / _TOLD)
        lines = (work / _ERRORS).read_text(encoding="utf-8", errors="replace").split("\n")
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        ended = "early"
        if child.returncode < 0:
            ended = f"by signal {-child.returncode} ({signal.strsignal(-child.returncode)})"
        return f"its process ended {ended}: {said.strip()[:500]}"


def _told(file: Path) -> Replayed | str:
    try:
        told = cast("dict[str, object]", json.loads(file.read_text(encoding="utf-8")))
        return str(told["fault"]) if "fault" in told else Replayed.of(told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"its process told nothing that can be read: {str(error)[:200]}"


def _environment(own: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_OUT)}
    # Python's path as it is here, for -P leaves out what a script's folder gave.
    paths = os.pathsep.join(path for path in sys.path if path)
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    places = {"HF_HOME": str(own), "ACCORD_CACHE": str(own / "accord"), "PYTHONPATH": paths}
    return {**kept, **offline, **places}


def _follow(child: subprocess.Popen[bytes], progress: Progress, patience: float) -> bool:
    """Until the process ends; each line of a number is so many answers done. Whether it was silent for too
    long, and was ended."""
    assert child.stdout is not None, "it is a pipe"
    rest = b""
    with child.stdout as pipe, selectors.DefaultSelector() as ready:
        ready.register(pipe, selectors.EVENT_READ)
        while ready.select(patience):
            data = os.read(pipe.fileno(), 65536)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_TICK:]
            progress.advance(sum(float(line[1:]) for line in lines if _TICKED.fullmatch(line)))
        else:
            return True
    try:
        child.wait(patience)
    except subprocess.TimeoutExpired:
        return True
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    """The process and all that it started are gone."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


class _Ticks:
    """Progress of the process, for whoever started it."""

    def begin(self, what: str, total: float | None = None) -> None:
        """Nothing: who started it knows."""

    def advance(self, done: float = 1, note: str = "") -> None:
        """So many answers more."""
        del note  # the caller shows its own
        if done:
            os.write(1, b"+%g\n" % done)

    def say(self, text: str) -> None:
        """Beside the errors."""
        sys.stderr.write(f"{text}\n")

    def end(self) -> None:
        """Nothing: the process ends."""


def _closed_in(folder: Path, own: Path) -> None:
    """From here on no network and no code out of these folders."""
    inside = (f"{folder}{os.sep}", f"{own}{os.sep}")

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event in _CLOSED:
            local = event == "socket.connect" and isinstance(arguments[1], str | bytes)
            if not local:
                raise PermissionError(f"a drill has no network: {event} {arguments[1:]!r}")
        elif event == "exec" and isinstance(arguments[0], CodeType):
            if arguments[0].co_filename.startswith(inside):
                raise PermissionError(f"a drill runs no code of a model: {arguments[0].co_filename}")
        elif event == "import" and str(arguments[1] or "").startswith(inside):
            raise PermissionError(f"a drill runs no code of a model: {arguments[1]}")

    sys.addaudithook(refuse)


def _asked(work: Path) -> tuple[Path, Asked]:
    tree = json.loads((work / _ASKED).read_text(encoding="utf-8"))
    prompts = tuple(cast(Prompt, read_record(Prompt.kind, one)) for one in tree["prompts"])
    read = tuple(cast(Response, read_record(Response.kind, one)) for one in tree["read"])
    return Path(tree["folder"]), Asked(prompts, int(tree["tokens"]), read)


def _loaded(folder: Path, asked: Asked) -> Replayed:
    from accord import catalog

    engine = cast("Engine", catalog.build("engines", {"name": "local"}))
    environment = {"accord": __version__, "python": platform.python_version(), **engine.environment()}
    return asyncio.run(answered(engine.sampler(str(folder), _Ticks()), asked, environment))


def _main(work: Path) -> None:
    folder, asked = _asked(work)
    _closed_in(folder, work / _OWN)
    try:
        told = _loaded(folder, asked).json()
    except (AccordError, OSError, ValueError, RuntimeError, LookupError, TypeError) as error:
        told = {"fault": " ".join(str(error).split())[:500] or type(error).__name__}
    (work / "told.part").write_text(json.dumps(finite(told)), encoding="utf-8")
    (work / "told.part").rename(work / _TOLD)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
