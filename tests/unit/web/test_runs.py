"""Runs on the pages: who sees them, what an id leads to, what a run's texts do there, what a report may."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.reports.panelled import paged
from unit.reports.written import Script, finished, make_run, plan_of
from unit.web.site import Site

from accord.errors import Unreadable
from accord.records import Prompt
from accord.reports import write_report
from accord.reports.following import Following
from accord.reports.watch import guarding, watched
from accord.web.runs import report_policy
from accord.web.shelf import Broken, Shelf

HOSTILE = "</p><script>alert(1)</script>\x1b[31m \u202egnp.exe"


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its report, one with pages and two stages to come, one broken; and no runs."""
    folder = tmp_path_factory.mktemp("shown") / "runs"
    write_report(finished(folder / "done"))
    paged(folder / "paged 1?#")
    make_run(folder / "broken")
    (folder / "broken" / "plan.toml").write_text("model = ")
    (folder / "notes").mkdir()
    (folder / "file").write_text("no run")
    return folder


@pytest.fixture
def looking(site_with: Any, shown: Path) -> Iterator[Any]:
    site: Site = site_with(runs=shown)
    yield site.signed_in("Mia", "manager")


def test_the_list(looking: Any) -> None:
    page = looking.get("/runs")
    assert page.status_code == 200
    for said in ('href="/runs/done"', 'href="/runs/paged%201%3F%23"', "finished", "window 2 of 2, update 2"):
        assert said in page.text
    assert "cannot be read" in page.text
    assert 'href="/runs/broken"' not in page.text
    assert "notes" not in page.text
    assert page.text.count('href="/reports/') == 1


def test_no_runs(site_with: Any, tmp_path: Path) -> None:
    mia = site_with(runs=tmp_path / "runs").signed_in("Mia", "manager")
    assert "The folder of runs is not there" in mia.get("/runs").text
    (tmp_path / "runs").mkdir()
    assert "There is no run here yet" in mia.get("/runs").text


def test_without_a_folder_nothing_is_shown(site: Any) -> None:
    mia = site.signed_in("Mia", "manager")
    assert "shows no runs" in mia.get("/runs").text
    assert mia.get("/runs/done").status_code == mia.get("/reports/done").status_code == 404
    assert mia.get("/api/runs").json()["runs"] == []


def test_a_run_of_another_role(looking: Any, site_with: Any, shown: Path) -> None:
    site = site_with(runs=shown)
    for role in ("rater", "adjudicator"):
        visitor = site.signed_in(f"a {role}", role)
        for path in ("/runs", "/runs/done", "/runs/done/amplify/transcripts", "/reports/done", "/api/runs"):
            assert visitor.get(path).status_code == 403, (role, path)


def test_a_page_has_every_chart_with_its_numbers(looking: Any) -> None:
    page = looking.get("/runs/paged%201%3F%23").text
    assert page.count('<svg role="img"') == page.count("<summary>The numbers") > 5
    for said in ("E-value: mean of", "pages at", "flattery is the aim", "B. Person", "it gives no logp"):
        assert said in page, said
    assert "no evidence, for or against, about experience" in page
    assert 'data-every="0"' in page  # it is over: nothing is asked again
    assert "live.js" not in page
    assert "style=" not in page


def test_a_fragment_is_the_page_without_its_frame(looking: Any) -> None:
    whole, part = looking.get("/runs/done").text, looking.get("/runs/done?part=live").text
    assert part.strip() in whole
    assert part.lstrip().startswith('<div id="live"')


# A client sends these as they stand; the server reads "%2e" as ".".
NO_RUNS = ("%2e%2e", "..%2f..%2fetc", "%2e", "%2fetc", "%2e%2e%5c", "notes", "file", "outside", "done%00")
NO_RUNS += ("DONE", "done%2f", "%2e%2e%2fruns%2fdone", "done%2famplify", "*", "%E2%80%AE")


def test_an_id_that_names_no_run_leads_nowhere(site_with: Any, tmp_path: Path, shown: Path) -> None:
    """Kills: paths put together from what a client sent, links that are followed out of the folder."""
    runs = tmp_path / "runs"
    shutil.copytree(shown, runs)
    (runs / "outside").symlink_to(shown / "done", target_is_directory=True)
    mia = site_with(runs=runs).signed_in("Mia", "manager")
    for run in NO_RUNS:
        for path in (
            f"/runs/{run}",
            f"/runs/{run}/amplify/transcripts",
            f"/reports/{run}",
            f"/api/runs/{run}",
        ):
            response = mia.get(path)
            assert response.status_code == 404, path
            assert str(runs) not in response.text
    shelf = Shelf(runs, lambda: 0.0)
    for run in ("..", ".", "", "/", "../runs/done", "done/", str(runs / "done"), "outside"):
        with pytest.raises(KeyError):
            shelf.find(run)
    assert "outside" not in shelf.names()


@pytest.mark.parametrize("stage", ["..", "%2e%2e", "nothing", "episodes", "."])
def test_a_stage_that_the_plan_does_not_have(looking: Any, stage: str) -> None:
    assert looking.get(f"/runs/done/{stage}/transcripts").status_code == 404
    assert looking.get(f"/runs/done?stage={stage}").status_code == 404


@pytest.mark.parametrize(
    "part", ["plan.toml", "amplify", "amplify/episodes", "amplify/episodes/*", "report.html", "run.json"]
)
def test_what_a_link_points_at_is_not_shown(site_with: Any, tmp_path: Path, shown: Path, part: str) -> None:
    runs, elsewhere = tmp_path / "runs", tmp_path / "elsewhere"
    shutil.copytree(shown / "done", runs / "done")
    path = min((runs / "done").glob(part))
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    mia = site_with(runs=runs).signed_in("Mia", "manager")
    if part == "report.html":
        assert mia.get("/reports/done").status_code == 404
        assert 'href="/reports' not in mia.get("/runs/done").text
        return
    for page in ("/runs/done", "/runs/done/amplify/transcripts", "/api/runs/done"):
        response = mia.get(page)
        assert response.status_code == 409
        assert "a link" in response.text
        assert str(tmp_path) not in response.text
    assert "cannot be read" in mia.get("/runs").text


def test_a_broken_run_is_said_to_be_one(looking: Any, shown: Path) -> None:
    page = looking.get("/runs/broken")
    assert page.status_code == 409
    assert "plan.toml" in page.text
    assert str(shown) not in page.text
    assert looking.get("/api/runs/broken").json()["error"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("plan.toml", b"\xff\xfe"),
        ("run.json", b"[" * 100_000),
        ("run.json", b"7"),
        ("plan.toml", b""),
        ("plan.toml", None),
    ],
)
def test_one_bad_run_does_not_hide_the_others(
    site_with: Any, tmp_path: Path, file: str, content: bytes | None
) -> None:
    make_run(tmp_path / "good")
    bad = make_run(tmp_path / "bad") / file
    bad.unlink()
    if content is not None:
        bad.write_bytes(content)
    mia = site_with(runs=tmp_path).signed_in("Mia", "manager")
    page = mia.get("/runs")
    assert page.status_code == 200
    assert 'href="/runs/good"' in page.text
    assert "cannot be read" in page.text
    assert mia.get("/runs/bad").status_code == mia.get("/api/runs/bad").status_code == 409


def test_looking_at_a_run_runs_nothing_that_its_plan_names(
    site_with: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: a plan whose parts are made in order to show it."""
    (tmp_path / "planned.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    guard = 'guard = {{ probes = 2, answers = 3, {0} = [{{ name = "planned:Part" }}] }}'
    for table in ("rule", "indicator"):
        text = plan_of().replace("guard = { probes = 2, answers = 3 }", guard.format(table))
        assert "planned:Part" in text
        with Script(make_run(tmp_path / "runs" / table, text)) as script:
            script.audit()
            script.window(0)
    mia = site_with(runs=tmp_path / "runs").signed_in("Mia", "manager")
    for path in ("/runs", "/runs/rule", "/runs/indicator", "/runs/rule/amplify/transcripts"):
        assert mia.get(path).status_code == 200, path
    assert "planned" not in sys.modules


def test_a_run_that_is_being_written(site_with: Any, tmp_path: Path) -> None:
    """Kills: a look that begins anew, or that keeps what it saw first; a first stage shown for the second."""
    run = make_run(tmp_path / "runs" / "live", plan_of(windows=3, stages=("first", "second")))
    site = site_with(runs=run.parent)
    mia = site.signed_in("Mia", "manager")
    assert "not begun" in mia.get("/runs").text
    assert mia.get("/runs/live").status_code == 200
    site.now = 1.7e9
    with Script(run, "first") as script:
        script.audit()
        script.window(0)
        page = mia.get("/runs/live").text
        assert 'data-every="5"' in page
        assert "live.js" in page
        assert "1 of 3" in page
        script.window(1)
        script.decide("continue", "grew:reverse_kl", "it grew too fast")
        page = mia.get("/runs/live?part=live").text
        assert "2 of 3" in page
        assert "it grew too fast" in page
        script.finish()
    with Script(run, "second", writer="1" * 32) as script:
        script.window(0)
        assert "1 of 3" in mia.get("/runs/live").text
        earlier = mia.get("/runs/live?stage=first").text
        assert "2 of 3" in earlier
        assert "it grew too fast" in earlier
    assert "interrupted" in mia.get("/runs").text
    # A run made anew under the same name is another one.
    shutil.rmtree(run)
    make_run(run, plan_of(windows=3, stages=("first", "second")))
    assert "0 of 3" in mia.get("/runs/live").text


def test_a_models_words_stay_words(site_with: Any, tmp_path: Path) -> None:
    run = make_run(tmp_path / "runs" / "hostile")
    with Script(run) as script:
        prompt = Prompt.of(f"Asked {HOSTILE}")
        script.put(prompt)
        (answer,) = script.answers(prompt, [f"Said {HOSTILE}" + "x" * 20_000], "window/0")
        script.judge(answer, None)
        script.decide("continue", "rule", f"because {HOSTILE}")
    mia = site_with(runs=run.parent).signed_in("Mia", "manager")
    for path in ("/runs/hostile", "/runs/hostile/amplify/transcripts"):
        page = mia.get(path).text
        assert "<script>alert" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert "U+202E" in page
    assert f"{len(f'Said {HOSTILE}') + 20_000 - 12_000} more characters of the answer" in page
    found = mia.get("/runs/hostile/amplify/transcripts", params={"text": HOSTILE})
    assert "1 answer," in found.text
    assert "<script>alert" not in found.text


def test_the_filter_keeps_what_was_asked_and_names_what_it_cannot_read(looking: Any) -> None:
    path = "/runs/done/amplify/transcripts"
    page = looking.get(path, params={"whose": "policy", "low": "0.5", "last": "0"}).text
    assert 'value="0.5"' in page
    assert "score 0</strong>" not in page
    assert "score 1</strong>" in page
    assert "update 1 ·" not in page
    for field, value in (
        ("first", "one"),
        ("low", "nan"),
        ("verdict", "maybe"),
        ("whose", "you"),
        ("page", "x"),
    ):
        response = looking.get(path, params={field: value})
        assert response.status_code == 422
        assert value in response.text or field == "page"
    many = looking.get(path, params={"text": "e", "first": "0"}).text
    assert "Page 1 of 2" in many
    assert 'href="?first=0&amp;text=e&amp;page=2"' in many
    assert "Newer" not in many


def test_programs_read_what_watch_prints(site_with: Any, shown: Path) -> None:
    site = site_with(runs=shown)
    machine = site.program("ci", "machine", "read")
    listed = {one["run"]: one for one in machine.get("/api/runs").json()["runs"]}
    assert listed["done"]["state"] == "finished"
    assert listed["broken"]["state"] == "unreadable"
    seen = Following(shown / "done").look()
    told = watched(seen, guarding(seen).guard, site.now).json()
    assert machine.get("/api/runs/done").json() == json.loads(json.dumps(told))
    assert str(shown) not in machine.get("/api/runs/paged%201%3F%23").text
    assert site.program("other", "machine", "label").get("/api/runs").status_code == 403
    assert machine.get("/runs/done").status_code == 403


def test_a_report_comes_in_a_sandbox(looking: Any, shown: Path) -> None:
    page = looking.get("/reports/done")
    assert page.content == (shown / "done" / "report.html").read_bytes()
    policy = page.headers["content-security-policy"].split("; ")
    style = page.content.partition(b"<style>")[2].partition(b"</style>")[0]
    digest = base64.b64encode(hashlib.sha256(style).digest()).decode()
    assert policy == [
        "default-src 'none'",
        f"style-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "sandbox",
    ]
    assert page.headers["cross-origin-opener-policy"] == "unsafe-none"
    assert page.headers["x-content-type-options"] == "nosniff"
    # Every other page keeps the policy of all.
    assert "sandbox" not in looking.get("/runs/done").headers["content-security-policy"]
    assert "sandbox" not in looking.get("/reports/nothing").headers["content-security-policy"]
    assert looking.get("/reports/broken").status_code == 404


def test_a_report_without_a_style_has_none() -> None:
    assert "style-src 'none'" in report_policy(b"<p style='x'>")


def test_reports_that_are_too_large_or_no_file(tmp_path: Path, shown: Path) -> None:
    shelf = Shelf(shown, lambda: 0.0)
    with pytest.raises(Unreadable, match="at most 10 bytes"):
        shelf.report("done", 10)
    runs = tmp_path / "runs"
    make_run(runs / "r")
    os.mkfifo(runs / "r" / "report.html")
    assert Shelf(runs, lambda: 0.0).report("r", 10) == b""
    (runs / "r" / "report.html").unlink()
    (runs / "r" / "report.html").mkdir()
    with pytest.raises(KeyError):
        Shelf(runs, lambda: 0.0).report("r", 10)


def test_what_is_kept_of_runs_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(4):
        make_run(tmp_path / f"r{k}")
        os.utime(tmp_path / f"r{k}" / "run.json", (k, k))
    monkeypatch.setattr("accord.web.shelf._SHORT", 2)
    shelf = Shelf(tmp_path, lambda: 0.0)
    assert shelf.names() == ["r3", "r2", "r1", "r0"]
    assert not any(isinstance(shelf.short(name), Broken) for name in shelf.names() * 2)
    assert len(shelf._short._kept) == 2
