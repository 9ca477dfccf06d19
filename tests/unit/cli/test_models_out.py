"""``accord export model``: what is said of an export, to a person and to a program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.keep.examples import GATE, PROVENANCE, copied, entry, keys, role, roles, signer

from accord.cli.models_out import give_model
from accord.cli.show import Screen
from accord.keep.cards import Hand
from accord.keep.manifest import manifest
from accord.keep.outgoing import About, Source, own_files
from accord.keep.predicates import Bytes, Evidence
from accord.keep.statements import read_chain
from accord.progress import Progress


def test_an_export_says_what_it_wrote_who_signed_and_that_it_is_ungated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    (folder / "accord").mkdir(parents=True)
    for name in ("README.md", "accord/plan.toml", "accord/values.toml"):
        (folder / name).write_text("")
    model = own_files(manifest(folder))

    def about(*said: Evidence) -> About:
        files = entry(Bytes.of(model), PROVENANCE, *said, manifest=model)
        return About("tiny\u202e", read_chain(files, keys(), roles(), model))

    hand = Hand(signer(), role(signer()))

    def source(progress: Progress) -> Source:
        del progress
        return copied(folder)

    assert give_model(source, tmp_path / "plain", about(), None, Screen(quiet=True)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "UNGATED: no evidence gate was passed before its training"
    assert lines[1].startswith("tiny⟨U+202E⟩: 2 files, ") and lines[1].endswith(f"in {tmp_path / 'plain'}")
    assert lines[3:] == [
        "README.upstream.md: the card that the model came with",
        "no model.sig: exported without a key, so nothing binds the card to the files",
    ]
    assert give_model(source, tmp_path / "signed", about(GATE), hand, Screen(json=True, quiet=True)) == 0
    told = json.loads(capsys.readouterr().out)
    done = manifest(tmp_path / "signed")
    assert (told["ungated"], told["files"], told["signed_by"]) == (None, len(done.files) - 1, "A. Person")
    assert (
        told["key"] == signer().id and told["earlier_card"] == "README.upstream.md" and told["faults"] == []
    )
    assert told["bytes"] == done.size - (tmp_path / "signed" / "model.sig").stat().st_size
