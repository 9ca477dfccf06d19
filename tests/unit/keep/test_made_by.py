"""Which runs made what is taken in: told by what the files hold, whatever folder they lie in.

Kills: an explore run looked up by its path, or by its whole digest only; a shard that says all of its run; a
file of weights more that makes an import of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from unit.keep.test_intake import WEIGHTS, fresh, header, safetensors, taken

from accord.errors import Refused, Unreadable
from accord.keep.intake import Explored, Known, model_digest
from accord.stores.files import file_sha256


def run(purpose: Literal["explore", "model"], name: str = "x-1", gated: bool = False) -> Known:
    return Known(name, "grpo", 9, f"{name:0<64}", purpose, gated, ("a base audit",))


def test_the_result_of_an_explore_run_is_refused_under_any_path(tmp_path: Path) -> None:
    """By its weights: another name, a file more or less, and no word of the run beside it change nothing."""
    folder = fresh(tmp_path / "downloads")
    weights = file_sha256(folder / WEIGHTS)
    (folder / "README.md").write_text("mine")
    with pytest.raises(
        Explored, match=r"(?s)x-1, stage grpo.*explored.*a base audit.*accord gate"
    ) as refused:
        taken(folder, lambda asked: [run("explore")] if asked == weights else [])
    decision = refused.value.decision
    assert isinstance(refused.value, Refused)
    assert (decision.rule, decision.action, decision.run) == ("keep", "halt", "x-1")
    assert decision.parents == (run("explore").entry,) and "a base audit" in decision.reason


def test_a_file_of_weights_more_does_not_make_an_explored_model_an_import(tmp_path: Path) -> None:
    """Mutant: all files of weights have to be the run's; a shard of one tensor beside them was enough."""
    folder = fresh(tmp_path / "downloads")
    weights = file_sha256(folder / WEIGHTS)
    (folder / "more.safetensors").write_bytes(safetensors(header(["c"]), b"\1" * 8))
    explored = run("explore")._replace(weights=frozenset({weights}))
    with pytest.raises(Explored):
        taken(folder, lambda asked: [explored] if asked == weights else [])


def test_a_shard_that_a_run_left_as_it_was_does_not_make_its_base_the_runs_result(tmp_path: Path) -> None:
    folder = fresh(tmp_path / "base")
    (folder / "other.safetensors").write_bytes(safetensors(header(["c"]), b"\1" * 8))
    shared = file_sha256(folder / "other.safetensors")
    found = taken(folder, lambda asked: [run("explore")] if asked == shared else [])
    assert found.made_by == () and any("other.safetensors: also in" in note for note in found.notes)


def test_a_model_that_a_run_for_keeping_made_too_is_that_runs(tmp_path: Path) -> None:
    folder = fresh(tmp_path / "base")
    weights = file_sha256(folder / WEIGHTS)
    both = [run("explore"), run("model", "y-1")]
    found = taken(folder, lambda asked: both if asked == weights else [])
    assert [one.run for one in found.made_by] == ["y-1"] and found.training == "y-1/grpo"
    assert found.notes[0].startswith("UNGATED")
    whole = model_digest(found.manifest)
    assert taken(folder, lambda asked: [run("model", gated=True)] if asked == whole else []).notes == ()


def test_a_run_is_named_with_the_folders_of_its_results(tmp_path: Path) -> None:
    folder = tmp_path / "x-1"
    (folder / "grpo" / "model").mkdir(parents=True)
    (folder / "run.json").write_text("{}")
    with pytest.raises(Unreadable, match="grpo/model"):
        taken(folder)
