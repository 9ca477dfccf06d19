"""Sets up the virtual environment that ``make`` works in, and shows what it is doing.

``python3 tools/environment.py FORM --venv DIR``: FORM is ``light`` (Accord without torch), ``train`` (adds
the engine) or ``dev`` (adds what checks and tests need). Standard library only. Each form ends with a stamp
file in DIR, so make calls this again only after pyproject.toml, constraints.txt or this file changed.
Everything pip printed lies in DIR/install.log.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

ROOT = Path(__file__).resolve().parent.parent


class Step(NamedTuple):
    """One call of pip: what to say about it, and its arguments."""

    says: str
    pip: tuple[str, ...]


FORMS = {
    # setuptools comes first, so that nothing is built in an isolated environment that needs the network.
    "light": (
        Step("pip and setuptools", ("pip", "setuptools")),
        Step("accord", ("--no-build-isolation", "-e", ".")),
    ),
    "train": (
        Step("torch, the largest download", ("torch",)),
        Step("accord[train]", ("--no-build-isolation", "-e", ".[train]")),
    ),
    "dev": (Step("what checks and tests need", ("--group", "dev")),),
}


class Line:
    """One status line: rewritten in place on a terminal, else printed at most every ten seconds."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.started = self.shown = time.monotonic()

    def show(self, text: str) -> None:
        now = time.monotonic()
        if now - self.shown < (0.2 if self.live else 10):
            return
        self.shown = now
        text = f"  {text} · {now - self.started:.0f} s"
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[2K{text[:width]}" if self.live else text, end="" if self.live else "\n", flush=True)

    def end(self, text: str) -> None:
        print(("\r\x1b[2K" if self.live else "") + f"  {text}", flush=True)


def progress(lines: Iterator[str]) -> Iterator[str]:
    """What pip is doing, in words, from what it prints with ``--progress-bar raw``."""
    collected, what, began, size = 0, "", 0.0, ""
    for line in lines:
        if found := re.match(r"Progress (\d+) of (\d+)", line.strip()):
            done, total = int(found[1]), int(found[2])
            left = (total - done) * (time.monotonic() - began) / done if done else 0.0
            part = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB, about {left:.0f} s left"
            yield f"downloading {what}: {part}" if total > 1e6 else f"downloading {what}"
        elif found := re.match(r"\s*(Downloading|Processing|Using cached) (\S+)(.*)", line):
            what, size, began = found[2].rsplit("/", 1)[-1].split("-", 1)[0], found[3], time.monotonic()
            yield f"{found[1].lower()} {what}{size}"
        elif line.startswith("Collecting"):
            collected += 1
            yield f"{collected} packages found"
        elif line.startswith("Installing collected packages"):
            yield f"unpacking {line.count(',') + 1} packages"


def make_venv(venv: Path) -> None:
    """A virtual environment that works, made anew if the one there does not run."""
    python = venv / "bin" / "python"
    if (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0
    ):
        return
    print(f"Making the virtual environment {venv} with Python {sys.version.split()[0]}", flush=True)
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", venv], capture_output=True, text=True)
    if made.returncode == 0:
        return
    # Debian ships Python without ensurepip; the pip that is there can fill the environment just as well.
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv], check=True)
    filled = subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "pip"])
    if filled.returncode:
        raise SystemExit(f"{made.stdout}{made.stderr}\nCannot make {venv}; install python3-venv or pip.")


def start(command: list[str | Path]) -> subprocess.Popen[str]:
    """pip, with its output in a pipe and nothing to read from."""
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def keep(lines: Iterable[str], kept: list[str], file: TextIO) -> Iterator[str]:
    """The same lines, all but the progress figures also written to the log and to ``kept``."""
    for line in lines:
        if not line.startswith("Progress "):
            file.write(line)
            kept.append(line)
        yield line


def install(venv: Path, form: str) -> None:
    """Runs the steps of a form; on failure prints the end of pip's output and exits with 1."""
    log = venv / "install.log"
    command = [venv / "bin" / "python", "-m", "pip", "install", "-c", "constraints.txt", "--prefer-binary"]
    command += ["--no-compile"]  # byte code is written at first import; compiling all of torch takes longer
    steps = FORMS[form]
    for number, step in enumerate(steps, 1):
        name, line = f"[{number}/{len(steps)}] {step.says}", Line()
        print(f"Installing the {form} form {name}", flush=True)
        # The old pip that comes with Python does not know raw progress; it installs the new one in seconds.
        raw = ["--progress-bar", "raw"] if step.says != FORMS["light"][0].says else []
        kept: list[str] = []
        with log.open("a", encoding="utf-8") as file, start([*command, *raw, *step.pip]) as pip:
            for words in progress(keep(pip.stdout or (), kept, file)):
                line.show(words)
        if pip.returncode:
            line.end("failed; the end of what pip said:")
            print("".join(kept[-20:]), f"\nAll of it: {log}. Call make again to go on from here.", sep="")
            raise SystemExit(1)
        line.end(f"done in {time.monotonic() - line.started:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("form", choices=sorted(FORMS))
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    asked = parser.parse_args()
    venv: Path = asked.venv.absolute()
    if asked.form == "light":
        make_venv(venv)
    install(venv, asked.form)
    (venv / f".{asked.form}").touch()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nInterrupted. Call make again to go on.")
        raise SystemExit(130) from None
