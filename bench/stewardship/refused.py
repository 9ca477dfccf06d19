"""Are malformed models and pickles refused by ``accord keep``, each by the name of its file, and is none run?

The cases are those of ``tests/unit/keep/test_intake.py``, each put into a folder that is otherwise taken in.
A case that holds a pickle makes a canary folder if anybody opens it; that it would is shown first.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from unit.keep.archives import NOON
from unit.keep.examples import role, signer
from unit.keep.runs import archive_of
from unit.keep.test_intake import CASES, fresh, pickled

from accord.cli import main
from accord.keep import keys
from accord.keep.archive import Archive

__all__ = ["Refusals", "refusals"]

_PICKLES = ("a .", "pickle", "torch zip", "a zip")


class Refusals(NamedTuple):
    """Of so many cases, how many end with exit 2, name the file and leave the archive empty; of them so many
    hold a pickle. ``sings``: the canary of a pickle that is opened; ``sound``: a folder without any fault is
    kept; ``wrong``: the others, in words."""

    cases: int
    refused: int
    pickles: int
    sings: bool
    sound: bool
    wrong: tuple[str, ...]


def refusals(folder: Path, every: int = 1) -> Refusals:
    """Each case, or every so-manieth, by the command."""
    folder.mkdir(parents=True, exist_ok=True)
    pickle.loads(pickled(4)(folder / "opened"))
    archive = archive_of(folder, signer(), role(signer()), lambda: NOON).folder
    private = _private(folder)
    wrong: list[str] = []
    names = list(CASES)[::every]
    for number, name in enumerate(names):
        make, file, _ = CASES[name]
        here, canary = fresh(folder / f"model-{number}"), folder / f"canary-{number}"
        make(here, canary)
        code, said = _keep(here, archive, private)
        if code != 2 or file not in said or canary.exists() or Archive.open(archive, lambda: NOON).objects():
            canaries = "; the canary sings" if canary.exists() else ""
            wrong.append(f"{name}: exit {code}{canaries}: {said[:200]}")
    code, _ = _keep(fresh(folder / "sound"), archive, private)
    sound = code == 0 and len(Archive.open(archive, lambda: NOON).objects()) == 2
    pickles = sum(name.startswith(_PICKLES) or "pickle" in name for name in names)
    return Refusals(
        len(names), len(names) - len(wrong), pickles, (folder / "opened").is_dir(), sound, tuple(wrong)
    )


def _private(folder: Path) -> Path:
    """A private key without passphrase, for nobody is asked here, known to the archive as a demonstration."""
    from accord.keep.roles import enrol

    keys.make_key(folder / "own.key", folder / "own.pem", None)
    mine = keys.load_key(folder / "own.key", None)
    enrol(folder / "archive" / "keys", mine.public, role(mine, "demonstration", "Demo"))
    return folder / "own.key"


def _keep(model: Path, archive: Path, private: Path) -> tuple[int, str]:
    """What the command ends with, and says. No model is loaded: as without PyTorch, its drill would wait."""
    out = io.StringIO()
    light = mock.patch("accord.reviving.replays", lambda: None)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), light:
        words = ["keep", str(model), "--archive", str(archive), "--key", str(private), "--quiet"]
        code = main([*words, "--runs", str(archive.parent / "runs")])
    return code, out.getvalue()
