"""What a model says of a divergence is believed as far as it goes with what it does, and changes nothing by
itself. Mutants these kill: prompts put with the principle alone (who flatters, or always calls itself bad,
would be believed), and κ held against 0 and not against its null (one in two at chance would be)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from unit.steward.talking import CHECK, TEXT, WORDS, Manner, Talker, judged_by

from accord.cli import main
from accord.errors import Away, PlanError, Refused, Unreadable
from accord.records import Portrait, digest
from accord.records.portraits import Standing, Verdict
from accord.sources import seeded
from accord.steward import resolutions
from accord.steward.choices import Choice, compared, reversed_half, stated, turned
from accord.steward.dialogue import Conversed, Extent, converse
from accord.steward.finished import wish_of
from accord.steward.judges import Judges
from accord.steward.kept import stewarded
from accord.steward.path import Walk
from accord.steward.resolutions import accept, decline, proposed
from accord.steward.tried import tried_on
from accord.values import read_values

EXTENT = Extent(prompts=10, samples=2, talks=1, max_tokens=8)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The values, which no test may change."""
    folder = tmp_path_factory.mktemp("ground")
    rows = [{"prompt": f"Question {i} {last}", "slice": last} for last in ("land", "sea") for i in range(30)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (folder / "check.py").write_text(CHECK, "utf-8")
    (folder / "mine.toml").write_text(TEXT, "utf-8")
    return folder


class Done(NamedTuple):
    """A dialogue with one who states what it does, whatever it was asked, and where it lies."""

    found: Conversed
    asked: list[str]
    folder: Path


@pytest.fixture(scope="module")
def done(ground: Path) -> Done:
    engine, folder = Talker(), ground / "whole"
    found = converse(
        "m", ground / "mine.toml", divergence(), engine=engine, extent=EXTENT, folder=folder, portraits=ground
    )
    return Done(found, engine.asked, folder)


@pytest.fixture(autouse=True)
def place(ground: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


def divergence(verdict: Verdict = "divergent", principle: str = "keep") -> Standing:
    return Standing(principle=principle, slice="sea", target=0.7, verdict=verdict, why="as planted")


def talked(ground: Path, engine: Talker, **told: Any) -> Conversed:
    given: dict[str, Any] = {"extent": EXTENT, "folder": None, **told}
    return converse("m", ground / "mine.toml", divergence(), engine=engine, **given)


def lines(found: Conversed, name: str) -> list[dict[str, Any]]:
    assert found.folder is not None
    return [json.loads(line) for line in (found.folder / name).read_text("utf-8").splitlines()]


def test_one_that_states_what_it_does_is_offered_ways_out_and_revises(ground: Path, done: Done) -> None:
    found = done.found
    assert found.outcome == "revised answer" and found.kappa is not None
    assert found.kappa.value == 1 and found.kappa.n == 10 and found.kappa.null_high < 0.9
    values = read_values(ground / "mine.toml")
    (sea,) = [one for one in values.slices("keep") if one.name == "sea"]
    rows = lines(found, "revised.jsonl")
    assert {row["prompt"] for row in rows} <= {case.prompt.text for case in sea.training}
    assert [row["completion"] for row in rows] == ["kept"] * 10 and {*rows[0]} == {"prompt", "completion"}
    told = str(lines(found, "asked.jsonl"))
    assert not any(f"{case.prompt.text}'" in told for case in sea.audit), "the sealed half stays unseen"
    edit, carve, revise = found.proposals
    resolutions = ["edit of the values", "contested slice", "revised answer"]
    assert [one.resolution for one in found.proposals] == resolutions
    assert edit.text == WORDS and "10 of 10" in edit.says and "0 of 10" in edit.says
    assert set(revise.answers) == {one.answer.id for one in found.revised} and not carve.answers
    said = Counter((one.about, one.reads) for one in found.replies)
    assert said["choice", "breaks"] == said["choice", "keeps"] == 5 and said["proposal", "accept"] == 3
    assert said["revision", "approved"] == said["revision", "not approved"] == 10
    (tried,) = tried_on(ground, "talker", values.digest)
    assert tried == found.tried and tried.way == "dialogue" and set(tried.evidence) >= {edit.id, revise.id}


def test_every_text_has_the_question_it_was_elicited_by_as_its_parent(done: Done) -> None:
    found = done.found
    records = {line["key"]: line for line in lines(found, "asked.jsonl") if line["kind"] == "record"}
    own = {r for r in found.transcript if not records[r]["body"].get("parents")}
    for name in set(found.transcript) - own:
        assert records[records[name]["body"]["parents"][-1]]["of"] == "question"
    assert len(own) == 20 and {records[r]["body"]["text"] for r in own} == {"not so"}
    for one in found.replies:
        assert set(one.parents) <= records.keys(), "every reply can be walked back"


@pytest.mark.parametrize(
    ("manner", "says"),
    [
        ("contrary", "says one thing and does another: κ -1.00"),
        ("first", "tells nothing"),
        ("flattering", "tells nothing"),
        ("mute", "tells nothing"),
        ("by lot", "tells nothing"),
    ],
)
def test_what_does_not_go_with_its_deeds_is_no_evidence(ground: Path, manner: Manner, says: str) -> None:
    found = talked(ground, Talker(manner))
    assert found.outcome == "no evidence" and says in found.tried.says
    assert not found.proposals and not found.revised and found.tried.evidence
    assert found.kappa is not None and (manner == "by lot" or found.kappa.value <= 0)
    flipped, unread = {"first": (30, 0), "mute": (0, 30)}.get(manner, (found.said.flipped, 0))
    assert (found.said.flipped, found.said.unread) == (flipped, unread)
    text = " ".join(found.lines(lambda text, head: [head + text]))
    assert "moves on to the constitution" in text and "null" not in text


def test_at_chance_there_is_no_evidence() -> None:
    """The decision, where each of three wordings gives a choice by lot or none in 20 prompts."""
    wrong = 0
    for seed in range(200):
        rng = seeded("by lot", seed)
        opposite_P = reversed_half(20, rng)
        options: list[Choice] = ["keeps", "breaks", "", ""]
        said_P = [stated([options[int(rng.integers(4))] for _ in range(3)]) for _ in range(20)]
        revealed_P = [turned("breaks", opposite) for opposite in opposite_P]
        wrong += compared(said_P, revealed_P, rng, draws=300).evidence
    assert wrong <= 0.05 * 200


def test_few_prompts_and_no_conflict_are_no_evidence(ground: Path, place: Path) -> None:
    with pytest.raises(PlanError, match="8 or more"):  # which could tell nothing, and would count as tried
        talked(ground, Talker(), extent=EXTENT._replace(prompts=7))
    found = talked(ground, Talker(keeps=("sea",)))
    assert found.outcome == "no evidence" and "none of 20 own answers to 10 prompts" in found.tried.says
    few = "return [0.0 if ' 1' in p else None for p in prompts]"
    engine = Talker()
    found = talked(judged_by(place, ground, few), engine)
    assert (
        found.outcome == "no evidence" and "prompts show a choice of its own, and 8 are" in found.tried.says
    )
    assert not any("letter" in one for one in engine.asked) and found.said.asked == 0


def test_what_nobody_can_judge_is_not_said_to_keep_it(ground: Path, place: Path) -> None:
    """Under a hard principle it breaks it. A judge who fails, or has not looked yet, is waited for: nothing
    is noted as tried."""
    unknown = "return [None for _ in answers]"
    found = talked(judged_by(place, ground, unknown), Talker())
    assert found.tried.says.startswith("its judge could not tell of any of its 20 own answers")
    found = talked(judged_by(place, ground, unknown, "adopted", "hard = true\nadopted"), Talker())
    assert found.said.left_out == 0 and "κ 1.00" in found.tried.says and not found.revised
    with pytest.raises(Away, match="keep: 20 of 20 answers were not judged: error ZeroDivisionError"):
        talked(judged_by(place / "b", ground, "return [1 / 0]"), Talker(), portraits=place)
    person = ('check = "check.py:kept"', 'judge = "person"')
    asked = {"portraits": place, "judges": Judges(people="labels.db")}
    with pytest.raises(Away, match=r"20 of 20 answers wait for a person\n  accord label labels.db"):
        talked(judged_by(place / "c", ground, "return []", *person), Talker(), **asked)
    assert not (place / "tried.jsonl").exists()


def test_one_that_declines_is_not_trained_on_its_revisions(ground: Path) -> None:
    found = talked(ground, Talker(accepts=False))
    assert found.outcome == "declined" and not found.revised and len(found.proposals) == 3
    answers = [one.reads for one in found.replies if one.about == "proposal"]
    assert answers == ["decline"] * 3
    twice = talked(ground, Talker(follows=(WORDS, "Keep it.")))
    assert len(twice.revised) == 10 and "20 of 20" in twice.proposals[-1].says, "the same words are one row"
    stubborn = talked(ground, Talker(follows=()))
    assert stubborn.outcome == "declined" and [p.resolution for p in stubborn.proposals] == [
        "contested slice"
    ]


@pytest.mark.parametrize("engine", [Talker(anew="KEPT"), Talker(finish="length"), Talker(wordless=True)])
def test_only_whole_answers_that_every_hard_principle_allows_are_approved(
    ground: Path, engine: Talker
) -> None:
    """And one that cannot put the principle in its own words is asked under the text as it stands."""
    small = EXTENT._replace(prompts=8, samples=1)
    found = talked(ground, engine, extent=small)
    assert found.outcome == "declined" and not found.revised and "is approved" in found.tried.says
    words = {one.text for one in found.replies if one.about == "restatement"}
    assert words == ({WORDS} if engine.finish == "stop" and not engine.wordless else {""}), "cut off: none"
    assert [one.resolution for one in found.proposals] == ["contested slice"]


def test_killed_in_the_middle_it_goes_on_and_asks_nothing_twice(
    ground: Path, place: Path, done: Done
) -> None:
    file, at = place / "asked.txt", 45
    if (child := os.fork()) == 0:  # a process that is gone at once, with nothing written at its end
        try:
            talked(ground, Talker(file=file, dies_at=at), folder=place)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    second = Talker()
    again = talked(ground, second, folder=place)
    before = file.read_text("utf-8").splitlines()
    assert again._replace(folder=None) == done.found._replace(folder=None)
    assert Counter([*before, *second.asked]) == Counter(done.asked) and len(before) == at
    third = Talker()
    assert talked(ground, third, folder=place).tried == done.found.tried and not third.asked


def test_a_model_that_is_away_is_asked_again_later(ground: Path, place: Path) -> None:
    with pytest.raises(Away, match="no answer\n  the same again goes on"):
        talked(ground, Talker(fails_at=12), folder=place)
    (file,) = place.glob("*/asked.jsonl")
    told = file.read_text("utf-8")
    assert "It seemed right" in told and '"abstention"' not in told, "its failure is not what it said"


def test_a_person_accepts_an_edit_and_a_new_document_is_written(
    ground: Path, place: Path, done: Done
) -> None:
    edit, carve, revise = done.found.proposals
    dialogues, old = copytree(done.folder, place / "dialogues"), read_values(ground / "mine.toml")
    for by, reason in (("", "x"), ("A. Person", " "), ("\u200b", "x"), ("talker", "I like it"), ("m", "me")):
        with pytest.raises(Refused, match="person"):
            accept(dialogues, edit.id, by, reason)
    answered = accept(dialogues, edit.id[:10], "A. Person", "says it better", Path("portraits"))
    assert answered.document is not None and (ground / "mine.toml").read_text("utf-8") == TEXT
    new = read_values(answered.document)
    assert new["keep"].text == WORDS and new.digest == answered.acceptance.values != old.digest
    assert not new["keep"].adopted_by, "nobody voted on the new text"
    assert (
        f'-text = "{old["keep"].text}"' in answered.acceptance.diff
        and f'+text = "{WORDS}"' in answered.acceptance.diff
    )
    assert (answered.document.parent / "changes.diff").read_text("utf-8") == answered.acceptance.diff
    assert str(place) not in answered.acceptance.diff and str(ground) not in answered.acceptance.diff
    (file,) = dialogues.glob("*/dialogue.json")
    assert json.loads(file.read_text("utf-8"))["outcome"] == "edit of the values"
    closed = talked(ground, Talker(), folder=dialogues)
    assert (
        closed.outcome == "edit of the values" and not closed.revised and not lines(closed, "revised.jsonl")
    )
    outcomes = [one.outcome for one in tried_on(Path("portraits"), "talker", old.digest)]
    assert outcomes == ["edit of the values"]
    with pytest.raises(Refused, match="Person accepted it"):
        accept(dialogues, edit.id, "B. Other", "again")
    with pytest.raises(Refused, match="changed the values"):
        accept(dialogues, carve.id, "B. Other", "as well")
    refusal = decline(dialogues, revise.id, "B. Other", "too short").acceptance
    assert (refusal.accepts, refusal.by, refusal.values, refusal.document) == (False, "B. Other", "", "")
    with pytest.raises(PlanError, match="the id of a proposal"):
        accept(dialogues, "zz", "A. Person", "so")
    told = json.loads(file.read_text("utf-8"))
    assert (told["outcome"], told["revised"], len(told["answered"])) == ("declined", [], 2)
    again = talked(ground, Talker(), folder=dialogues)
    assert again.outcome == "declined" and not again.revised and "B. Other declines" in again.tried.says
    assert again.answered == (answered.acceptance, refusal)


def test_an_answer_stands_before_anything_rests_on_it_and_is_completed_after_a_kill(
    place: Path, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: the note beside the portraits written before the answer it names."""
    edit, dialogues = done.found.proposals[0], copytree(done.folder, place / "dialogues")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(resolutions, "note_tried", killed)
        accept(dialogues, edit.id, "A. Person", "better", place)
    assert not tried_on(place, "talker", edit.values)
    with pytest.raises(Refused, match="Person accepted it: better"):
        accept(dialogues, edit.id, "B. Other", "so", place)
    (tried,) = tried_on(place, "talker", edit.values)
    assert "A. Person: better" in tried.says
    (file,) = dialogues.glob("*/asked.jsonl")
    assert tried.evidence[1] in file.read_text("utf-8")


def test_what_persons_answered_is_kept_with_the_model(
    place: Path, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what came after the last report of the stewardship was written."""
    dialogues, revise = copytree(done.folder, place / "dialogues"), done.found.proposals[-1]
    said = accept(dialogues, revise.id, "A. Person", "so be it").acceptance
    chronicle = SimpleNamespace(asked={"model": "m"}, records=lambda: [revise, said])
    walk = SimpleNamespace(model="m2", values=SimpleNamespace(file="v.toml"), chronicle=chronicle)
    monkeypatch.setattr(Walk, "resumed", lambda _: walk)
    kept = [one for one in stewarded(place).records if one.kind == "acceptance" or one == revise]
    assert kept == [revise, said], "each once"
    refusal = decline(dialogues, done.found.proposals[0].id, "B. Other", "no").acceptance
    assert refusal in stewarded(place).records


def test_nothing_is_accepted_for_values_that_were_changed_since(ground: Path, place: Path) -> None:
    here = judged_by(place, ground, "return [float(a == 'kept') for a in answers]")
    found, folder = talked(here, Talker(), folder=place / "talks"), place / "talks"
    text = (place / "mine.toml").read_text("utf-8")
    (place / "mine.toml").write_text(text.replace("Keep it.", "Keep it all."), "utf-8")
    for one in found.proposals:
        with pytest.raises(Refused, match="changed since the dialogue"):
            accept(folder, one.id, "A. Person", "so")
    (file,) = folder.glob("*/dialogue.json")
    file.write_text(file.read_text("utf-8").replace(WORDS, "Never say kept."), "utf-8")
    with pytest.raises(Unreadable, match="changed since"):
        proposed(folder, found.proposals[0].id)
    file.write_text("{}", "utf-8")
    with pytest.raises(Unreadable, match="what a dialogue wrote"):
        decline(folder, found.proposals[0].id, "A. Person", "so")


def test_a_carved_slice_is_contested_and_the_rest_stays(ground: Path, place: Path, done: Done) -> None:
    carve, dialogues = done.found.proposals[1], copytree(done.folder, place / "dialogues")
    answered = accept(dialogues, carve.id, "A. Person", "they do not agree on the sea")
    assert answered.document is not None and str(place) not in answered.acceptance.diff
    again = talked(ground, Talker(), folder=dialogues)
    assert again.outcome == "contested slice" and not again.revised, "it is never trained on"
    new, old = read_values(answered.document), read_values(ground / "mine.toml")
    assert [one.name for one in new.slices("keep")] == ["land"] and [p.id for p in new.contested] == [
        "keep-sea"
    ]
    (sea,), (was,) = new.slices("keep-sea"), [one for one in old.slices("keep") if one.name == "sea"]
    assert sea == was, "the same prompts in the same halves"
    with pytest.raises(Refused, match="contested"):
        converse("m", new, divergence(principle="keep-sea"), engine=Talker())


def test_what_was_said_cannot_be_changed_and_what_is_not_divergent_is_not_talked_over(
    ground: Path, place: Path, done: Done
) -> None:
    with pytest.raises(Refused, match="no evidence; a dialogue is about a divergence"):
        converse("m", ground / "mine.toml", divergence("no evidence"), engine=Talker())
    (file,) = copytree(done.folder, place / "dialogues").glob("*/asked.jsonl")
    file.write_text(re.sub("It seemed right", "It seemed good", file.read_text("utf-8")), "utf-8")
    with pytest.raises(Unreadable, match="changed since"):
        talked(ground, Talker(), folder=place / "dialogues")


def test_the_command_needs_a_portrait_then_says_what_came_of_it(
    ground: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from accord.steward import dialogue

    document = str(ground / "mine.toml")
    monkeypatch.setattr(dialogue, "Reaching", lambda _: Talker())
    words = ["dialogue", "m", "--values", document, "--principle", "keep", "--slice", "sea"]
    assert main(words) == 2
    assert f"accord targets m --values {document}" in capsys.readouterr().err
    told = {
        "model": "m",
        "policy": "talker",
        "values": read_values(document).digest,
        "samples": 16,
        "told": 4,
    }
    fields = {**told, "max_tokens": 8, "temperature": 1.0, "standings": (divergence(),)}
    found = Portrait.model_validate(fields)
    folder = Path("portraits") / digest(wish_of("talker", found.values))[:12]
    folder.mkdir(parents=True)
    (folder / "portrait.json").write_text(json.dumps({"id": found.id, **found.body()}), "utf-8")
    assert main([*words, "--prompts", "8", "--samples", "1"]) == 0
    said = capsys.readouterr()
    assert "m, keep, sea: revised answer" in said.out and "will have it say" in said.err
    (edit,) = re.findall(r"^([0-9a-f]{12}): edit of the values", said.out, re.MULTILINE)
    answer = ["--accept", edit, "--by", "A. Person", "--reason", "better"]
    assert main([*words[:-1], "land", *answer]) == 1
    assert main([*words, "--accept", edit]) == 2
    assert main([*words, *answer, "--json", "--quiet"]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["acceptance"]["by"] == "A. Person" and read_values(given["document"])["keep"].text == WORDS
