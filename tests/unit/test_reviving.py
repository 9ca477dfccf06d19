"""A model is loaded in a process of its own, without a network and without code that came with it.

Mutants killed: a hook that is set after the load, a connection that goes through, code in the model's folder
that runs, log-probabilities at the temperature of the greedy draw, a replay that reads another model.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from unit.keep.archives import NOON
from unit.keep.examples import role, signer
from unit.keep.runs import archive_of

from accord import reviving
from accord.engines.local.templates import render
from accord.errors import PlanError
from accord.keep.intake import taken_in
from accord.keep.keeping import Terms, keep
from accord.keep.revival import Asked, Replayed
from accord.origins import imported
from accord.progress import Progress, Silent
from accord.reviving import fresh, reference_prompts
from accord.testing import save_tiny

CLOSED = """
import socket, sys
from pathlib import Path
from accord.reviving import _closed_in
folder, own = Path(sys.argv[1]), Path(sys.argv[2])
port = socket.create_server(("127.0.0.1", 0)).getsockname()[1]
_closed_in(folder, own)
tried = (
    lambda: socket.create_connection(("127.0.0.1", port)),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: exec(compile("open(sys.argv[3], 'w')", str(folder / "modeling.py"), "exec")),
)
for one in tried:
    try:
        one()
    except PermissionError as error:
        print(str(error).split(":")[0])
a, b = socket.socketpair()
a.send(b"own")
print(b.recv(3).decode(), eval("1 + 1"))
"""


def clock() -> float:
    return NOON


def test_the_process_has_no_network_and_runs_no_code_of_the_model(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    command = [sys.executable, "-c", CLOSED, str(tmp_path / "model"), str(tmp_path / "own"), str(canary)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [
        "a drill has no network",
        "a drill has no network",
        "a drill runs no code of a model",
        "own 2",
    ], done.stderr
    assert not canary.exists()


def test_a_kept_model_says_again_what_it_said_from_a_process_of_its_own(tmp_path: Path) -> None:
    folder, canary = save_tiny(tmp_path / "model", seed=3), tmp_path / "canary"
    (folder / "modeling_own.py").write_text(f"open({str(canary)!r}, 'w')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_own.Own"}
    (folder / "config.json").write_text(json.dumps(config))
    archive = archive_of(tmp_path, signer(), role(signer()), clock)
    incoming = taken_in(folder, lambda _: (), render)
    loaded: list[tuple[Path, Replayed | str]] = []

    def once(at: Path, asked: Asked, progress: Progress) -> Replayed | str:
        """The reference is made here, so that the test pays for one process and not for two."""
        found = fresh(at, asked, progress) if asked.read else reviving._loaded(at, asked)
        loaded.append((at, found))
        return found

    terms = Terms(signer(), clock, once, reference_prompts(2), 6)
    done = keep(archive, incoming, imported("tiny", incoming, tmp_path), terms)
    assert done.drill is not None and done.drill.verdict == "revived", done.drill
    assert done.drill.largest is not None and done.drill.largest <= 1e-4
    (here, first), (there, again) = loaded
    assert here == folder and there != folder and not there.exists() and not canary.exists()
    assert isinstance(first, Replayed) and isinstance(again, Replayed)
    assert [one.tokens for one in first.said] == [one.tokens for one in again.said]
    assert all(len(one.tokens) == 6 for one in again.said)
    assert max(map(max, again.read)) < -0.05, "at the temperature of the greedy draw they would be 0"


def test_a_process_that_ends_by_itself_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho first >&2\necho no room >&2\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    said = fresh(tmp_path, Asked(reference_prompts(1), 2), Silent())
    assert said == "its process ended by signal 9 (Killed): no room"


def test_a_process_that_hangs_or_tells_garbage_fails_the_drill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: a drill that waits for ever, a library's lines taken for numbers, garbage that is raised."""
    program, started = tmp_path / "program", time.monotonic()
    program.write_text("#!/bin/sh\necho +-----+\necho +1e999\nprintf +1\nsleep 60 &\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    said = fresh(tmp_path, Asked(reference_prompts(1), 2), Silent(), patience=0.3)
    assert said == "its process gave no sign for 0.3 seconds, and was ended"
    for told in ("[]", "{", '{"environment": {}}', '{"said": [], "read": [["x"]], "environment": {}}'):
        program.write_text(f"#!/bin/sh\necho '{told}' > $4/told.json\n")
        said = fresh(tmp_path, Asked(reference_prompts(1), 2), Silent())
        assert isinstance(said, str) and said.startswith("its process told nothing that can be read"), told
    program.write_text("#!/bin/sh\nexec >&-\nsleep 60\n")  # its pipe is closed, and it goes on
    assert "gave no sign" in str(fresh(tmp_path, Asked(reference_prompts(1), 2), Silent(), patience=0.3))
    assert time.monotonic() - started < 30
    with pytest.raises(PlanError, match="1 to 320"):
        reference_prompts(321)
