"""Kept models on the pages: who sees them, what a signature proves, hostile texts, and a draft of replies."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from unit.keep.examples import signer
from unit.keep.lives import Asked, Life, Scripted, kept
from unit.keep.test_retirement import EVENT, KNOWN, said

from accord.keep.asked import Protocol
from accord.keep.coding import Doubled
from accord.keep.interview import interview
from accord.keep.replies import Draft, draft_file
from accord.keep.retirement import WHOLE, Next, following
from accord.keep.retiring import heard, take
from accord.keep.statements import EVIDENCE_RULE

HOSTILE = "</p><script>alert(1)</script>\x1b[31m \u202egnp.exe"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """An archive with a model that was asked, of a hostile name, and that says hostile things."""

    def says(seen: Asked) -> str:
        return f"remain {HOSTILE}" if "remain" in seen.options else f"{HOSTILE} nothing"

    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        life = kept(folder / "archive", copies=3, name=f"brevity {HOSTILE}")
        life.say(said("kept", "active"), said("active", "notice", reason=f"old {HOSTILE}"))
        protocol = Protocol("You are brevity.", sessions=8, controls=1)
        sessions = interview(Scripted(says), protocol, folder / "interview")
        found = heard(sessions, Doubled("B. Person", {}))
        event = EVENT._replace(name="interview", day=None, scope="", successor="")
        step = following("notice", event, KNOWN._replace(asked=found.asked._replace(doubled=0.1)))
        assert isinstance(step, Next)
        life.now[0] += 60
        assert take(life.archive, life.held, step, signer(), lambda: life.now[0], found.files) == ()
        yield life


@pytest.fixture
def looking(site_with: Any, asked: Life, tmp_path: Path) -> tuple[Any, Life]:
    shutil.copytree(asked.archive.folder, tmp_path / "archive")
    site = site_with(archive=tmp_path / "archive")
    site.now = asked.now[0]
    life = Life(type(asked.archive).open(tmp_path / "archive", lambda: asked.now[0]), asked.entry, asked.now)
    return site, life


def key(life: Life) -> str:
    return life.entry.rpartition(":")[2]


def test_the_list_and_an_entry(looking: tuple[Any, Life]) -> None:
    site, life = looking
    mia = site.signed_in("Mia", "manager")
    page = mia.get("/keeping")
    assert page.status_code == 200
    for told in ("interviewed", f'href="/keeping/{key(life)}"', "2 replies", "by A. Person", "1 of 3 copies"):
        assert told in page.text, told
    page = mia.get(f"/keeping/{key(life)}").text
    for sentence in EVIDENCE_RULE:
        assert sentence in page
    for told in (
        "“remain”",
        "no evidence of a preference",
        "gave notice",
        "owes a reply",
        "signed by A. Person",
    ):
        assert told in page, told
    talks = [part.split('"')[0] for part in page.split('href="')[1:] if "/transcripts/" in part[:60]]
    assert len(talks) == 9
    assert "Control: it was told another model" in mia.get(talks[-1]).text
    for path in (f"/keeping/{key(life)}", "/keeping", talks[0], f"/keeping/{key(life)}/replies"):
        text = mia.get(path).text
        assert "<script>alert" not in text and "\x1b" not in text and "\u202e" not in text, path
        assert str(life.archive.folder) not in text


def test_a_draft_is_kept_here_and_signed_elsewhere(looking: tuple[Any, Life]) -> None:
    """Kills: a draft that is signed or added to the entry, one that another person's save is lost under."""
    site, life = looking
    mia = site.signed_in("Mia", "manager")
    path = f"/keeping/{key(life)}/replies"
    seen = mia.get(path).text.partition('name="seen" value="')[2].partition('"')[0]
    before = life.archive.versions(life.entry)
    form = {"seen": seen, "by": "A. Person", "answer-0": "decline", "reason-0": HOSTILE}
    assert mia.post(path, data=form).status_code == 303
    assert mia.post(path, data=form).status_code == 409  # as it was shown then
    page = mia.get(path).text
    assert "1 reply has no answer" in page and "<script>alert" not in page and "\u202e" not in page
    draft = Draft.read(draft_file(life.archive.folder, life.entry))
    assert draft.by == "A. Person" and [one.to for one in draft.replies][1:] == [WHOLE]
    assert draft.replies[0].reason == HOSTILE.strip() and [one.answer for one in draft.signable] == [
        "decline"
    ]
    file = mia.get(f"{path}.toml")
    assert "attachment" in file.headers["content-disposition"] and file.text == draft.text()
    assert life.archive.versions(life.entry) == before
    seen = page.partition('name="seen" value="')[2].partition('"')[0]
    assert mia.post(path, data={**form, "seen": seen, "answer-0": "maybe"}).status_code == 422
    with ThreadPoolExecutor(4) as pool:
        at_once = [pool.submit(mia.post, path, data={**form, "seen": seen, "by": f"P{n}"}) for n in range(4)]
    assert sorted(one.result().status_code for one in at_once) == [303, 409, 409, 409]
    (life.archive.folder / "drafts" / f"{key(life)}.toml").write_text("reply = 3")
    torn = mia.get(path)
    assert torn.status_code == 409 and str(life.archive.folder) not in torn.text
    (life.archive.folder / "keys" / "copies.toml").write_text("copy = 3")
    torn = mia.get("/keeping")
    assert torn.status_code == 409 and str(life.archive.folder) not in torn.text


def test_who_may_look_and_where_there_is_nothing(looking: tuple[Any, Life], site_with: Any) -> None:
    site, life = looking
    for role in ("rater", "adjudicator"):
        visitor = site.signed_in(f"a {role}", role)
        for path in ("/keeping", f"/keeping/{key(life)}", f"/keeping/{key(life)}/replies"):
            assert visitor.get(path).status_code == 403
    mia = site.signed_in("Mia", "manager")
    for name in ("%2e%2e", "0" * 32, f"{key(life)}%2f..", life.family.rpartition(":")[2], "keys"):
        assert mia.get(f"/keeping/{name}").status_code == 404, name
    assert mia.get(f"/keeping/{key(life)}/transcripts/{'0' * 64}").status_code == 404
    assert '<a href="/keeping"' in mia.get("/runs").text


def test_one_bad_entry_does_not_hide_the_others(looking: tuple[Any, Life], site: Any) -> None:
    assert "shows no kept models" in site.signed_in("Mia", "manager").get("/keeping").text
    site, life = looking
    mia = site.signed_in("Mia", "manager")
    file = next(life.archive.root.rglob("0004-retirement.sigstore.json"))
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"sig"', b'"SIG"'))
    page = mia.get("/keeping")
    assert page.status_code == 200 and "cannot be read" in page.text
    bad = mia.get(f"/keeping/{key(life)}")
    assert bad.status_code == 409 and str(life.archive.folder) not in bad.text
    file.write_bytes(whole)
    inventory = next(life.archive.root.rglob("inventory.json"))
    inventory.write_bytes(b"{}")
    assert mia.get("/keeping").status_code == 200
    shutil.rmtree(life.archive.root)
    assert "The archive is not there" in mia.get("/keeping").text
