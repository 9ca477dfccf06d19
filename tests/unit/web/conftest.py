"""A site of its own for each test, over two databases that were made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.web.site import Site

from accord.stores.identity import Identity, entering
from accord.stores.people import People


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both databases, made once."""
    at = tmp_path_factory.mktemp("site")
    People.open(at / "people.db").close()
    Identity.open(at / "accounts.db").close()
    return at


@pytest.fixture
def site_with(empty: Path, tmp_path: Path) -> Iterator[Any]:
    made: list[Site] = []

    def make(**settings: Any) -> Site:
        people, accounts = tmp_path / "people.db", tmp_path / "accounts.db"
        shutil.copy(empty / "people.db", people)
        shutil.copy(empty / "accounts.db", accounts)
        made.append(Site(people, accounts, **settings))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture
def site(site_with: Any) -> Site:
    return site_with()


@pytest.fixture(autouse=True)
def _quick_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 MiB and three passes are for attackers; the tests of them turn this off."""
    monkeypatch.setattr(entering, "_MEMORY_KIB", 64)
