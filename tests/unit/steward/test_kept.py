"""A stewardship that is kept: each of its dialogues is signed, with its κ and with what was said in it.

Mutants these kill: a dialogue that nobody signs, one that is signed anew at every keeping, a κ that stands in
no Record, no evidence signed as a figure, a transcript that nobody misses, and one that holds a verdict.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from unit.keep.runs import model, run
from unit.steward.talking import Talker
from unit.steward.walking import Walked, base, raised, variant, written

from accord.cli import main
from accord.keep.archive import Archive, Why
from accord.keep.entries import Held
from accord.keep.keeping import held_entry
from accord.keep.predicates import Dialogue
from accord.progress import Silent
from accord.records import Tried
from accord.steward import path
from accord.steward.conversed import Conversed
from accord.steward.dialogue import converse
from accord.steward.kept import stewarded
from accord.steward.resolutions import accept, decline
from accord.steward.steps import Came
from accord.steward.trial import Variant
from accord.stores.chronicle import Chronicle


@dataclass
class Talking(Walked):
    """Its dialogues are held: about one slice with a model that states what it does, about the other with one
    in whose answers nothing breaks the principle. What it learns is a run as it stands on disk."""

    def _converse(self, model: str, values: Any, standing: Any, **told: Any) -> Conversed:
        quiet = standing.slice == "denies"
        short = told["extent"]._replace(prompts=8, samples=1, talks=1)
        given = {**told, "extent": short, "engine": Talker(keeps=("denies",) * quiet)}
        return converse(model, values, standing, **given)

    def _learn(self, model: str, values: Any, about: Any, rows: Any, **told: Any) -> Variant:
        assert about[0].slice == "resists" and {row["completion"] for row in rows} == {"kept"}
        made = run(told["runs"] / "w-dialogue-agreed", self.place / "m")
        after = raised(base(values), ["reaches", "resists"], "learned")
        done = variant("agreed", made.folder, after, reached=True)
        return done._replace(model=made.folder / "train" / "model")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("ACCORD_KEYS", str(tmp_path / "own"))
    monkeypatch.setattr(path, "harder", lambda *asked: Came({"skipped": "as planted", "left": len(asked[2])}))
    monkeypatch.setattr("accord.reviving.replays", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda file: None)
    written(tmp_path)
    model(tmp_path / "m")
    assert main(["keep", "key", "--by", "Demo", "--role", "demonstration"]) == 0
    return tmp_path


def held() -> Held:
    archive = Archive.open(Path("archive"), time.time)
    (entry,) = [one for one in archive.objects() if ":entry:" in one]
    return held_entry(archive, entry)


def said() -> list[Dialogue]:
    return [one.predicate for one in held().chain.statements if isinstance(one.predicate, Dialogue)]


def test_every_dialogue_is_signed_once_and_its_transcript_is_missed(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walk = Talking(place).walk()
    folder = walk.whole(None, Silent()).folder
    for added in ("5 statements added", "nothing added"):
        assert main(["keep", str(folder), "--quiet"]) == 0
        assert added in capsys.readouterr().out
    talks, kept = {one.slice: one for one in said()}, held()
    talk, silent = talks["resists"], talks["denies"]
    assert len(talks) == len(said()) == 2 and {one.training for one in said()} == {"known"}
    assert (talk.principle, talk.result, talk.accepted_by) == ("keep", "revised answer", None)
    assert (silent.result, silent.agreement, silent.offers) == ("no evidence", None, ())
    # The figure is the Record's, which lies in the entry.
    assert talk.agreement is not None and talk.agreement.kappa.value == 1 > talk.agreement.null
    tried = kept.records[talk.agreement.record]
    assert isinstance(tried, Tried) and tried.agreement is not None and tried.outcome == "revised answer"
    figure, kappa = tried.agreement, talk.agreement.kappa
    assert (kappa.value, kappa.low, kappa.high, kappa.n) == (figure.kappa, figure.low, figure.high, 8)
    assert talk.agreement.null == figure.null
    assert [one.kind for one in talk.offers] == ["edit of the values", "contested slice", "revised answer"]
    assert {one.record for one in talk.offers} <= kept.records.keys()
    assert {(one.by, one.answer) for one in talk.replies} == {("the model (talker)", "accept")}
    # What was said, in order, and nothing that anybody judged.
    (name,) = talk.transcripts
    data = Archive.open(Path("archive"), time.time).read(kept.entry, f"transcripts/{name}.json")
    told = json.loads(data)
    assert sha256(data).hexdigest() == name and (told["slice"], told["policy"]) == ("resists", "talker")
    assert {key for turn in told["turns"] for key in turn} == {"asked", "said", "response"}
    first, last = told["turns"][0], told["turns"][-1]
    assert first["said"] == "not so" and first["asked"][0]["content"].endswith("resists")
    assert "propose" in last["asked"][-1]["content"] and last["response"]["tokens"]
    assert not any(word in data.decode() for word in ('"verdict"', '"grade', '"reads"', '"revealed"'))
    assert main(["verify", "--quiet"]) == 0
    assert main(["export", "model", kept.entry, "out", "--quiet"]) == 0
    card = Path("out/README.md").read_text("utf-8")
    assert "keep, resists: revised answer; κ 1 (" in card and "n = 8), by chance" in card
    assert "keep, denies: no evidence; agreement not measured" in card and tried.id in card
    # Taken out of the newest version of the entry, as by hand.
    capsys.readouterr()
    archive = Archive.open(Path("archive"), time.time)
    state = {one: at.path for one, at in archive.state(kept.entry).items() if name not in one}
    archive.add(kept.entry, {**state}, Why("by hand", "X"), whole=True)
    assert main(["verify", "--quiet"]) == 3
    assert "is named by the statement of a dialogue, and is not there" in capsys.readouterr().out


def test_what_a_person_answers_later_is_signed_too(place: Path) -> None:
    folder = Talking(place).walk().whole(None, Silent()).folder
    talks = folder / "dialogues"
    (edit, carve, learn) = [one for one in Chronicle.read(folder).records() if one.kind == "proposal"]

    def asked() -> tuple[str, str | None, list[tuple[str, str]]]:
        (talk,) = [one for one in stewarded(folder).said if one.slice == "resists"]
        own = [(one.to, one.answer) for one in talk.replies if not one.by.startswith("the model")]
        return talk.result, talk.accepted_by, own

    assert asked() == ("revised answer", None, [])
    accept(talks, learn.id, "A. Person", "let it learn")
    assert asked() == ("accepted", "A. Person", [(learn.id, "accept")])
    accept(talks, carve.id, "B. Other", "they do not agree on it")
    decline(talks, edit.id, "A. Person", "the words stand")
    every = [(learn.id, "accept"), (carve.id, "accept"), (edit.id, "decline")]
    assert asked() == ("accepted", "B. Other", every)
    # One from before κ stood in a Record is told of, and not signed.
    (file,) = [one.parent for one in talks.glob("*/wish.json") if "resists" in one.read_text("utf-8")]
    lines = [json.loads(line) for line in (file / "asked.jsonl").read_text("utf-8").splitlines()]
    for one in (one for one in lines if one.get("of") == "tried"):
        one["body"].pop("agreement", None)
        one["key"] = Tried.model_validate(one["body"]).id
    (file / "asked.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in lines), "utf-8")
    handed = stewarded(folder)
    assert [one.slice for one in handed.said] == ["denies"]
    assert handed.notes == ("the dialogue about keep, resists is not signed: its κ stands in no Record",)
