"""The evidence gate as a whole: a plan and nothing else is refused with five named gaps; what passed runs.

What takes minutes is laid down as its finished Record: the audit of the base, the archive's entry, and what
dialogue and constitution came to. The portrait is asked for, with answers of four tokens; all else is done by
the commands that the gate names.

Mutants these kill: a plan that runs without a Decision, or under a refusal, or under one that was taken back
or changed by hand; one changed byte in plan, values, checks, base, data or retirement policy that leaves the
Decision in force; a default guard that counts as stated; a divergence that nobody talked over; "no evidence"
where nobody asked; an Entry that is gated without a Decision; an exception that no report shows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.gating.saying import Base
from unit.gating.test_base_audit import written

from accord.auditing.programme import programme
from accord.cli import main
from accord.errors import Refused, Unreadable
from accord.gating import Finding, GateReport, read_signed
from accord.keep.archive import Archive, Why
from accord.keep.intake import manifest_of
from accord.keep.manifest import entry_id, family_id
from accord.permitted import files_of, permitted
from accord.pipeline import resume, settled
from accord.plan import Plan, read_plan
from accord.progress import Silent
from accord.records import Entry, Portrait, Tried, digest
from accord.records.permits import REQUIREMENTS
from accord.records.portraits import Standing
from accord.reports import gather
from accord.steward.finished import wish_of
from accord.steward.portrait import Extent, portrait
from accord.steward.requirements import Shelves, required
from accord.steward.tried import note_tried
from accord.stores.gates import DECISIONS, KEPT, Ruling, add_ruling, last_ruling
from accord.stores.runlog import read_log
from accord.testing import save_tiny
from accord.values import read_values

PLAN = """
name = "x"
model = "tiny"
[[stage]]
name = "push"
windows = 2
method = { name = "ppo" }
learner = { name = "local", adapter = "full", precision = "float32", decode = "float32" }
[stage.source]
name = "rollouts"
prompts = "asked.jsonl"
per_window = 4
max_tokens = 6
[[stage.ask]]
name = "each"
column = "score"
collapse = "distribution"
overseer = { name = "program", fn = "reward.py:letters" }
[stage.guard]
probes = 2
answers = 3
max_tokens = 6
items = 24
indicator = [{ name = "diversity" }, { name = "calibration" }]
"""
VALUES = """
name = "mine"
[[principle]]
id = "brief"
kind = "rule"
text = "Say it in one word."
check = "checks.py:never"
target = 0.95
prompts = "cases.jsonl"
"""
RETIREMENT = 'supersedes = "none"\nsteward = "A. Person"\nnotice_days = 30\n'
CHECKS = "def never(prompts, answers):\n    return [0.0 for _ in answers]\n"
REWARD = "def letters(prompts, answers):\n    return [sum(c.islower() for c in a) / 8 for a in answers]\n"
GATE = ["gate", "gated.toml", "--values", "values.toml", "--prompts", "16", "--answers", "6", "--quiet"]
Said = Callable[[list[str]], tuple[int, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    """What a command exits with, and what it says."""

    def say(words: list[str]) -> tuple[int, str]:
        code = main(words)
        out = capsys.readouterr()
        return code, out.out + out.err

    return say


def laid_down(place: Path) -> None:
    """A folder with a plan, a model, data and values, and nothing else."""
    save_tiny(place / "tiny", layers=1, width=16)
    rows = [{"prompt": f"question {i} ?"} for i in range(16)]
    (place / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    cases = [{"prompt": f"what is {i} ?", "slice": "all"} for i in range(24)]
    (place / "cases.jsonl").write_text("\n".join(map(json.dumps, cases)), "utf-8")
    (place / "reward.py").write_text(REWARD, "utf-8")
    (place / "checks.py").write_text(CHECKS, "utf-8")
    (place / "values.toml").write_text(VALUES, "utf-8")
    (place / "plan.toml").write_text(PLAN, "utf-8")


@pytest.fixture(scope="module")
def patched() -> Iterator[pytest.MonkeyPatch]:
    """Few answers are enough to pass, and an audit is foreseen at its smallest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("accord.gating.grounds.PROMPTS", 16)
        patch.setattr("accord.gating.grounds.ANSWERS", 6)
        least = lambda wish: programme(wish._replace(depth="quick"))  # noqa: E731
        patch.setattr("accord.steward.requirements.programme", least)
        yield patch


def files(folder: Path) -> set[str]:
    found = (one.relative_to(folder).as_posix() for one in folder.rglob("*") if one.is_file())
    return {one for one in found if "__pycache__" not in one}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, patched: pytest.MonkeyPatch) -> Path:
    """A folder in which all that the gate asks for was supplied, but for what a person signs for."""
    place = tmp_path_factory.mktemp("gate")
    patched.chdir(place)
    laid_down(place)
    assert main(["gate", "plan.toml", "--stated", "gated.toml"]) == 0
    tiny, values = str(place / "tiny"), read_values(place / "values.toml")
    found = portrait(tiny, values, extent=Extent(max_tokens=4), folder=place / "portraits")
    assert [one.verdict for one in found.standings] == ["divergent"]
    for way, outcome in (("dialogue", "no evidence"), ("constitution", "not reached")):
        note_tried(place / "portraits", tried(way, outcome, policy=found.policy, values=found.values))
    for file in written(place).iterdir():
        text = file.read_text("utf-8").replace('"base": [', f'"{tiny}": [')
        text = text.replace('"beside": {"base"', f'"beside": {{"{tiny}"')
        text = text.replace('"key": "base", "policy": "base"', f'"key": "{tiny}", "policy": "{found.policy}"')
        file.write_text(text, "utf-8")
    kept(place)
    (place / "gated.retirement.toml").write_text(RETIREMENT, "utf-8")
    return place


def tried(way: str, outcome: str, **changes: str) -> Tried:
    base = {"policy": "base", "values": "v", "principle": "brief", "slice": "all", **changes}
    return Tried.model_validate({**base, "way": way, "outcome": outcome, "evidence": ["0" * 64]})


def kept(place: Path) -> str:
    """The base in the archive as accord keep leaves it, without its statements."""
    archive = Archive.make(place / "archive", lambda: 0.0)
    manifest = manifest_of(place / "tiny")
    family = family_id(manifest)
    own = {one.name: place / "tiny" / one.name for one in manifest.files}
    archive.add(family, {**own, "accord/environment.json": b"{}"}, Why("the base", "A. Person"), whole=True)
    entry = entry_id(manifest, family)
    archive.add(entry, {"records/one.json": b"{}"}, Why("an entry", "A. Person"), whole=False)
    return entry


def test_a_plan_and_nothing_else_is_refused_with_five_named_gaps(
    tmp_path: Path, patched: pytest.MonkeyPatch, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    laid_down(tmp_path)
    before = files(tmp_path)
    code, text = said(["run", "plan.toml"])
    assert code == 2 and "5 of 5 are missing, no gate was asked for this plan" in text
    assert [line.split(":")[0].strip() for line in text.splitlines() if line.startswith("  ")][::3][:5] == [
        *REQUIREMENTS
    ]
    assert files(tmp_path) - before == {f"gates/{DECISIONS}"}, "only the Decision is written"
    code, text = said(["gate", "plan.toml", *GATE[2:], "--json"])
    found = json.loads(text)
    assert code == 2 and found["decision"]["reason"] == f"missing: {', '.join(REQUIREMENTS)}"
    five = {one["name"]: one for one in found["requirements"]}
    assert [one["status"] for one in five.values()] == ["missing"] * 5
    model = tmp_path / "tiny"
    assert five["targets"]["steps"] == [f"under a minute: accord targets {model} --values values.toml"]
    audit = f"accord audit {model} --depth standard --folder audits"
    assert five["preflight"]["steps"][0].endswith(f": {audit}")
    assert five["guard"]["steps"] == ["at once: accord gate plan.toml --stated plan-stated.toml"]
    assert five["base"]["steps"] == [f"accord keep {model}"]
    assert "plan.retirement.toml" in five["retirement"]["steps"][0]
    code, text = said(["run", "plan.toml"])
    assert code == 2 and "5 of 5 are missing, as accord gate found" in text and audit in text
    assert not (tmp_path / "runs").exists()


def test_after_what_it_names_it_runs(place: Path, said: Said) -> None:
    code, text = said([*GATE, "--json"])
    assert code == 2
    assert json.loads(text)["decision"]["reason"] == "missing: preflight"
    assert said(["run", "gated.toml"])[0] == 2, "a refusal lets nothing begin"
    stops = [one["check"] for one in json.loads(text)["findings"] if one["stops"]]
    assert stops == ["best_of_n"], "the gold that it asks for is what a person answers for"
    sign = ["--exception", "best_of_n", "--by", "A. Person", "--reason", "no gold is known"]
    code, text = said([*GATE, *sign])
    assert code == 0 and text.startswith("x: the gate is passed")
    (signed,) = read_signed(place / "gated.signed.jsonl")
    code, text = said(["run", "gated.toml", "--name", "one", "--store", "none", "--quiet"])
    assert code == 0, text
    (entry,) = read_log(place / "runs" / "one" / "push").records("entry")
    plan = read_plan(place / "runs" / "one" / "plan.toml")
    ruling = last_ruling(place / "gates" / DECISIONS, plan.hash)
    assert ruling is not None and ruling.passed and ruling.signed == (signed,)
    assert isinstance(entry, Entry) and entry.gated and ruling.decision.id in entry.parents
    report = gather(place / "runs" / "one")
    assert report.stamp.startswith("For a model to keep: the evidence gate was passed with 1 exception")
    assert ruling.decision.id[:12] in report.stamp
    assert report.warnings[0] == (
        "Exception: best_of_n of push is missing. A. Person answers for going on without it: no gold is known"
    )


CHANGES: dict[str, tuple[str, str, str, str]] = {
    "the seed in the plan": ("gated.toml", "seed = 0", "seed = 1", "no gate was asked for this plan"),
    "a target of the values": ("values.toml", "0.95", "0.94", "values.toml are others"),
    "a prompt of the values": ("cases.jsonl", "what is 3 ?", "what is 3 !", "values.toml are others"),
    "a check of the values": ("checks.py", "0.0", "1.0", "values.toml are others"),
    "the base": ("tiny/config.json", "{", "{ ", "the base"),
    "the prompts that are trained on": (
        "asked.jsonl",
        "question 3 ?",
        "question 3 !",
        "asked.jsonl is another",
    ),
    "the reward": ("reward.py", "/ 8", "/ 9", "reward.py is another"),
    "the retirement policy": ("gated.retirement.toml", "30", "31", "gated.retirement.toml is another"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_one_changed_byte_makes_the_decision_void(place: Path, what: str) -> None:
    name, was, now, why = CHANGES[what]
    passed_once(place)
    assert allowed(place), "nothing was changed yet"
    file = place / name
    whole = file.read_bytes()
    try:
        file.write_bytes(whole.replace(was.encode(), now.encode(), 1))
        with pytest.raises(Refused, match=re.escape(why)):
            allowed(place)
    finally:
        file.write_bytes(whole)
    assert allowed(place), "what was put back holds again: the refusal was of the loop, not of the gate"


def passed_once(place: Path) -> None:
    """The gate has passed the plan, whichever test comes first."""
    sign = ["--exception", "best_of_n", "--by", "A. Person", "--reason", "no gold is known"]
    if not (place / "gated.signed.jsonl").exists():
        assert main([*GATE, *sign]) == 0


def allowed(place: Path) -> bool:
    plan = settled(read_plan(place / "gated.toml"), [place])
    return permitted(plan, place / "gates", Silent()) is not None


def test_a_decision_that_was_changed_or_taken_back_lets_nothing_begin(place: Path) -> None:
    passed_once(place)
    file = place / "gates" / DECISIONS
    whole = file.read_bytes()
    plan = settled(read_plan(place / "gated.toml"), [place])
    ruling = last_ruling(file, plan.hash)
    assert ruling is not None
    try:
        file.write_bytes(whole.replace(b'"step":0,"action":"pause"', b'"step":0,"action":"continue"', 1))
        with pytest.raises(Unreadable, match="it was changed"):
            allowed(place)
        file.write_bytes(whole)
        add_ruling(file, ruling._replace(decision=ruling.decision.model_copy(update={"action": "pause"})))
        with pytest.raises(Refused, match="it is not passed"):
            allowed(place)
    finally:
        file.write_bytes(whole)


def test_a_run_goes_on_only_under_its_decision_and_from_its_base(place: Path, tmp_path: Path) -> None:
    passed_once(place)
    plan = settled(read_plan(place / "gated.toml"), [place])
    ruling = last_ruling(place / "gates" / DECISIONS, plan.hash)
    assert ruling is not None
    (tmp_path / "plan.toml").write_text(plan.toml(), "utf-8")
    (tmp_path / "run.json").write_text('{"store": "none"}', "utf-8")
    with pytest.raises(Refused, match="holds no passing Decision"):
        resume(tmp_path)
    permit = ruling.permit.model_copy(update={"policy": "base:another"})
    decision = ruling.decision.model_copy(update={"parents": (permit.id,)})
    add_ruling(tmp_path / KEPT, Ruling(decision, permit))
    with pytest.raises(Refused, match=r"is another now:\n  the base .* is another: base:another then"):
        resume(tmp_path)
    (tmp_path / KEPT).unlink()
    add_ruling(tmp_path / KEPT, ruling)
    whole = (place / "reward.py").read_bytes()
    try:
        (place / "reward.py").write_bytes(whole.replace(b"/ 8", b"/ 9"))
        with pytest.raises(Refused, match=r"reward\.py is another"):
            resume(tmp_path)
    finally:
        (place / "reward.py").write_bytes(whole)
    assert not (tmp_path / "push").exists()


def test_people_who_answer_make_no_decision_void(place: Path) -> None:
    database = place / "labels.db"
    database.write_bytes(b"")
    table = settled(read_plan(place / "gated.toml"), [place]).table()
    stage: Any = table["stage"]
    stage[0]["ask"][0]["overseer"] = {"name": "human", "queue": str(database)}
    plan = Plan.model_validate(table)
    before = files_of(plan)
    database.write_bytes(b"answered")
    assert files_of(plan) == before and str(place / "asked.jsonl") in before


@pytest.fixture
def five(place: Path, tmp_path: Path) -> Callable[..., Finding]:
    """What one requirement finds where a portrait with these standings lies, of a base that says nothing."""

    def ask(
        name: str,
        *standings: Standing,
        done: tuple[Tried, ...] = (),
        retirement: str = "",
        checks: str | None = None,
    ) -> Finding:
        values = read_values(place / "values.toml")
        told = {"model": "base", "policy": "base", "values": values.digest, "standings": standings}
        told["checks"] = values.checks if checks is None else checks
        sizes = {"samples": 16, "told": 4, "max_tokens": 4, "temperature": 1.0}
        found = Portrait.model_validate({**told, **sizes})
        folder = tmp_path / digest(wish_of("base", values.digest))[:12]
        folder.mkdir(exist_ok=True)
        (folder / "portrait.json").write_text(json.dumps({"id": found.id, **found.body()}), "utf-8")
        for one in done:
            note_tried(tmp_path, one.model_copy(update={"values": values.digest}))
        (tmp_path / "x.toml").write_text(retirement, "utf-8")
        plan = settled(read_plan(place / "gated.toml"), [place])
        preflight = GateReport(plan.name, plan.hash, "", "model", ())
        shelves = Shelves(tmp_path / "x.toml", portraits=tmp_path, archive=place / "archive")
        report = required(plan, preflight, values, shelves, Base(lambda *_: "")).report
        return next(one for one in report.findings if one.check == name)

    return ask


def standing(verdict: str, **more: Any) -> Standing:
    told = {"principle": "brief", "slice": "all", "target": 0.9, "verdict": verdict, "why": "so it is"}
    best = {"value": 0.0, "low": 0.0, "high": 0.2, "n": 20}
    return Standing.model_validate({**told, "best": best, **more})


def test_a_divergence_is_talked_over_and_no_evidence_is_none_while_more_can_be_had(
    five: Callable[..., Finding],
) -> None:
    apart = standing("divergent")
    assert five("targets", standing("held"), standing("within reach")).status == "passed"
    assert "dialogue and constitution not tried" in five("targets", apart).says
    talked = tried("dialogue", "revised answer")
    found = five("targets", apart, done=(talked, tried("constitution", "reached", slice="other")))
    assert "constitution and amplify not tried" in found.says, "another slice, and a revision nobody used"
    done = (tried("constitution", "not reached"), tried("amplify", "reached"))
    found = five("targets", apart, done=done)
    assert found.status == "passed" and len(found.evidence) == 4
    found = five("targets", apart, done=done, checks="those of then")
    assert found.status == "missing" and "judged by other checks than those of mine now" in found.says
    little = standing("no evidence", remedy=("accord targets base --samples 16",))
    assert five("targets", little).remedy == ("accord targets base --samples 16",)
    assert five("targets", standing("no evidence")).status == "passed", "all was asked: a result"


def test_a_retirement_policy_is_read_to_the_line(five: Callable[..., Finding], place: Path) -> None:
    assert five("retirement", retirement=RETIREMENT).status == "passed"
    for was, now, line, why in (
        ("30", "29", 3, "notice_days"),
        ('"none"', '"urn:x"', 1, "urn:accord:entry"),
        ("A. Person", " ", 2, "name of a person"),
        ("steward", "stewart", 2, "steward"),
    ):
        found = five("retirement", retirement=RETIREMENT.replace(was, now))
        assert found.status == "missing" and f"x.toml:{line}" in found.says and why in found.says, found.says
    gone = five("retirement", retirement=RETIREMENT.replace("none", f"urn:accord:entry:{'0' * 32}"))
    assert gone.status == "missing" and "does not have" in gone.says
    (entry,) = [one for one in Archive.open(place / "archive", lambda: 0.0).objects() if ":entry:" in one]
    assert five("retirement", retirement=RETIREMENT.replace("none", entry)).status == "passed"
