"""``accord keep``, ``accord revive`` and ``accord export model``, as they are typed.

Mutants killed: an archive made for who has no key, an import error as exit 1, a demonstration key that is not
named, a light install that fails or claims a drill, a refusal that nobody wrote down.
"""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from unit.keep.runs import model, replaying, run

from accord.cli import main
from accord.records import Decision
from accord.stores.ledger import records_in

LIGHT = """
import sys
from importlib.machinery import PathFinder
class Light(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        heavy = ("torch", "transformers", "safetensors", "tokenizers", "huggingface_hub", "peft")
        return None if name.split(".")[0] in heavy else super().find_spec(name, path, target)
sys.meta_path[:] = [Light if finder is PathFinder else finder for finder in sys.meta_path]
from accord.cli import main
for words in sys.argv[1:]:
    print("exit", main(words.split()), flush=True)
"""


@pytest.fixture(autouse=True)
def own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_KEYS", str(here / "own"))
    model(here / "base")


def test_without_torch_a_model_is_kept_and_its_drill_waits(here: Path) -> None:
    typed = (
        "keep base --quiet",
        "keep key --by Demo --role demonstration",
        "keep base --quiet --json",
        "revive base --drill --quiet",
        "export model base out --quiet",
    )
    done = subprocess.run([sys.executable, "-c", LIGHT, *typed], capture_output=True, text=True, timeout=120)
    codes = [line for line in done.stdout.splitlines() if line.startswith("exit")]
    assert codes == [f"exit {code}" for code in (2, 0, 0, 4, 0)], done.stderr
    assert "make both: accord keep key --by NAME" in done.stderr
    _, _, kept, revived, exported = done.stdout.split("exit")[:5]
    told = json.loads(kept.split("\n", 1)[1])
    assert told["drill"] == "pending" and told["demonstration"] is True and told["drilled_now"] is None
    assert "kept, drill pending" in revived and "not drilled now: PyTorch is not installed here" in revived
    assert "accord revive urn:accord:entry:" in revived and "DEMONSTRATION" in revived
    assert "demonstration" in exported and "**Demonstration**" in (here / "out" / "README.md").read_text()
    assert (here / "out" / "model.sig").is_file()


def test_what_cannot_be_kept_ends_with_2_and_is_written_down(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["keep", "key", "--by", "Demo", "--role", "demonstration"]) == 0
    shutil.copytree(here / "base", here / "bad")
    (here / "bad" / "pytorch_model.bin").write_bytes(pickle.dumps(0))
    explored = run(here / "runs", here / "base", purpose="explore")
    shutil.copytree(explored.folder / "train" / "model", here / "renamed")
    capsys.readouterr()
    assert main(["keep", "bad", "--quiet"]) == 2 and "holds a pickle" in capsys.readouterr().err
    for place in ("renamed", "sft-explore"):
        assert main(["keep", place, "--quiet"]) == 2
        assert "a run that explored" in capsys.readouterr().err
    written = records_in(here / "archive" / "fixity" / "refused.jsonl", "a refusal", Decision)
    assert [(one.action, one.rule, one.parents) for one in written] == [
        ("halt", "keep", (explored.entry.id,))
    ] * 2
    monkeypatch.setattr("accord.reviving.replays", replaying)
    assert main(["keep", "base", "--base", "base", "--quiet"]) == 1
    assert "only of a run" in capsys.readouterr().err
    assert main(["keep", "base", "--quiet"]) == 0
    kept = capsys.readouterr().out
    assert "DEMONSTRATION" in kept and "imported, training unknown" in kept and "1 of 3 copies" in kept
    assert main(["revive", "base"]) == 2 and "accord revive urn:accord:entry:" in capsys.readouterr().err
    assert main(["revive", "base", "--drill", "--quiet"]) == 0
    monkeypatch.setattr("accord.reviving.replays", lambda: replaying(moved=0.5))
    assert main(["revive", "base", "--drill", "--quiet"]) == 3
    assert main(["keep", "copy", "copy", "--quiet"]) == 0
    assert main(["revive", "base", "--drill", "--quiet"]) == 3
    assert main(["verify", "--quiet"]) == 0, "a drill is written to the copies too"
    assert "2 of 3 copies" in capsys.readouterr().out
    assert main(["keep", "base", "--quiet"]) == 3, "it stands, and its last drill was not passed"
    assert "nothing added: it was kept" in capsys.readouterr().out
    assert main(["keep", "list"]) == 0
    listed = capsys.readouterr().out
    assert "drifted" in listed and "demonstration" in listed


def test_a_model_that_is_sealed_goes_out_no_more(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills: an export that looks at nothing but the files."""
    monkeypatch.setattr("accord.reviving.replays", lambda: None)
    for typed in ("keep key --by Demo --role demonstration", "keep base --quiet"):
        assert main(typed.split()) == 0
    with monkeypatch.context() as m:
        m.setattr("accord.keep.retiring.closed", lambda *_: "it is sealed")
        assert main(["export", "model", "base", "out", "--quiet"]) == 2
    assert not (here / "out").exists()
    assert main(["export", "model", "base", "out", "--quiet"]) == 0
