"""The demonstration begins, goes on, begins anew; and what it signs says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord import demo
from accord.keep.roles import Roles
from accord.stores.chronicle import Chronicle
from accord.testing import save_tiny


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for runs, with a little model in place of the real one."""
    model = save_tiny(tmp_path / "model")
    monkeypatch.setattr(demo, "MODEL", str(model))
    monkeypatch.setattr(demo, "installed", lambda name: model)
    return tmp_path / "runs"


def test_it_goes_on_until_every_question_is_answered_and_then_begins_anew(here: Path) -> None:
    first = demo.begun(runs=here)
    assert first.chronicle.name == "demo-1"
    assert demo.begun(runs=here).chronicle.folder == first.chronicle.folder
    assert demo.begun(runs=here, fresh=True).chronicle.name == "demo-2"
    for number in (1, 2):
        Chronicle.read(here / f"demo-{number}").finished("gate", {"skipped": "nothing is left"})
    assert demo.begun(runs=here).chronicle.name == "demo-3"


def test_one_that_the_guard_halted_is_not_gone_on_with(here: Path) -> None:
    demo.begun(runs=here).chronicle.finished("amplify", {"halted": True})
    assert demo.begun(runs=here).chronicle.name == "demo-2"


def test_programs_decide_all_that_it_asks_and_there_is_enough_to_ask(here: Path) -> None:
    asked = demo.begun(runs=here).values
    assert all(asked.program(one.id) is not None for one in asked.principles)
    least = {one.id: len(part.audit) for one in asked.principles for part in asked.slices(one.id)}
    assert min(least.values()) >= (demo.EFFORT.items or 0), "what a slice is asked must be there"
    shown = 0.025 ** (1 / (demo.EFFORT.items or 1))
    assert shown > min(one.target or 0 for one in asked.principles), "what is always kept can be shown to be"


def test_its_key_is_made_once_and_has_no_other_role(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    one, two = demo.signer(archive), demo.signer(archive)
    assert one.public.id == two.public.id
    roles = Roles.read(archive / "keys")
    assert [role.role for role in roles.roles] == ["demonstration"]
