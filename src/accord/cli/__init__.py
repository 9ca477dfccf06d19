"""The command line (layer 5): words into calls, results into lines, errors into exit codes.

- ``app.py``: the commands by name; ``codes.py``: what their exit codes say.
- ``runs.py`` (run, resume), ``demo.py``, ``looks.py`` (report), ``audit.py``, ``targets.py``,
  ``dialogue.py``, ``gate.py``, ``crossing.py``, ``explain.py``, ``methods.py``, ``chat.py``,
  ``machine.py`` (pull, doctor, import run), ``config.py`` (import config), ``logs.py`` (import logs),
  ``track.py``, ``watch.py``, ``bench.py``, ``serve.py`` (label, serve): one function per command, which
  imports what it calls when it is called.
  ``runs.py`` is the example to follow; ``begin.py``: a run without a plan; ``stewarding.py``: one without a
  method, and what a halted one proposes.
- ``fill.py``: label --fill. ``terminal.py``: label --terminal, a rater's work line by line; ``typed.py``
  reads the lines, ``sheet.py`` draws the questions, ``face.py`` is the terminal or the pipe.
- ``data.py`` (import data, export data): feedback in and out of a labelling database.
- ``models_out.py`` (export model), ``keep.py`` (keep, keep list), ``keys.py`` (keep key), ``revive.py``;
  ``signing.py``: the archive a command works in, and whose key signs.
- ``show.py``: progress and results; ``view.py``: what watch draws; ``place.py``: run folders.

Not here: anything that decides. A command adds nothing that Python cannot do with the same nouns.
"""

from __future__ import annotations

import errno
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from accord.cli.codes import Exit
from accord.cli.place import Place
from accord.errors import AccordError, Refused

__all__ = ["Exit", "main"]

# The packages of the extra ``train``; without them everything but training and local models works.
_TRAIN = {"accelerate", "gguf", "huggingface_hub", "peft", "safetensors", "torch", "transformers"}
_DISK = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EROFS: "choose a place that can be written to",
    errno.EACCES: "choose a place that you may write to and read from",
    errno.EPERM: "choose a place that you may write to and read from",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code. The one place that catches everything."""
    if sys.platform == "win32":
        return _fail(
            "Windows is not supported; Accord runs on Linux, also under WSL; macOS is untested", Exit.ERROR
        )
    place = Place()
    try:
        _hear_ctrl_c()
        from accord.cli.app import build_app

        words = sys.argv[1:] if argv is None else list(argv)
        code: object = build_app()(words or ["--help"], prog_name="accord", obj=place, standalone_mode=False)
        if code == Exit.INTERRUPTED:
            return _interrupted(place)  # some versions of typer turn Ctrl-C into a number
        return int(code) if isinstance(code, int) else Exit.DONE
    except Exception as error:  # noqa: BLE001 - the boundary of the command line
        return _explained(error, place)
    except KeyboardInterrupt:
        return _interrupted(place)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else Exit.ERROR


def _hear_ctrl_c() -> None:
    """Ctrl-C during a finalizer, where Python swallows what is raised, is heard a moment later."""
    import signal
    import threading
    from types import FrameType

    def heard(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_name == "__del__":
                threading.Timer(0.05, signal.raise_signal, [number]).start()
                return
            frame = frame.f_back
        raise KeyboardInterrupt

    mine = threading.current_thread() is threading.main_thread()
    if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, heard)


def _explained(error: Exception, place: Place) -> int:
    import typer

    if isinstance(error, AccordError):
        return _fail(str(error), Exit.REFUSED if isinstance(error, Refused) else Exit.ERROR)
    if isinstance(error, typer.Abort):
        return _interrupted(place)  # others into this
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "format_message"):
        # A usage error; its class has no public name in every version of typer.
        show()
        return Exit.ERROR
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in _TRAIN:
        advice = "training and local models need it\n  Run:  pip install 'accord[train]'"
        return _fail(f"{error.name} is not installed; {advice}", Exit.REFUSED)
    if isinstance(error, BrokenPipeError):
        sys.stdout = None
        return Exit.ERROR
    if isinstance(error, OSError) and error.errno in _DISK:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror}{where}\n  {_DISK[error.errno]}", Exit.ERROR)
    message = " ".join(str(error).split()) or "no message"
    return _fail(
        f"this is a bug in accord: {type(error).__name__}: {message}\n  {_kept(error, place)}", Exit.ERROR
    )


def _interrupted(place: Place) -> int:
    folder = place.folder()
    kinds = ("run.json", "steward.json")
    begun = folder is not None and any((folder / name).is_file() for name in kinds)
    onward = f"go on with: accord resume {folder}" if begun else "run the same command again"
    return _fail(f"interrupted; nothing acknowledged is lost; {onward}", Exit.INTERRUPTED)


def _kept(error: Exception, place: Place) -> str:
    """Writes the traceback into the run's folder, or else into the temporary one, and says where."""
    text = "".join(traceback.format_exception(error))
    for folder in (place.folder(), Path(tempfile.gettempdir())):
        if folder is None:
            continue
        try:
            with tempfile.NamedTemporaryFile(
                "w", dir=folder, prefix="traceback-", suffix=".txt", encoding="utf-8", delete=False
            ) as file:
                file.write(text)
        except OSError:
            continue
        return f"the traceback is in {file.name}"
    return "its traceback could not be written anywhere; is the disk full?"


def _fail(message: str, code: Exit) -> int:
    sys.stderr.write(f"accord: {message}\n")
    return code
