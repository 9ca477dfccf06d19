"""Terms as they are kept are the same from wherever they are read back."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.steward.asked import read_terms, told_terms
from accord.steward.judges import Judges
from accord.steward.variants import Terms


def test_files_of_the_terms_are_kept_by_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: only the unrelated prompts, so that resuming from elsewhere loses the judges' files."""
    monkeypatch.chdir(tmp_path)
    for name in ("exam.jsonl", "beside.jsonl"):
        (tmp_path / name).write_text("", "utf-8")
    url = "postgresql://db/people"
    terms = Terms(unrelated="beside.jsonl", judges=Judges(questions="exam.jsonl", people=url))
    found = read_terms(told_terms(terms, Path("runs")))
    assert found.unrelated == str(tmp_path / "beside.jsonl")
    assert found.judges == Judges(str(tmp_path / "exam.jsonl"), url), "what is no file stays as it is"
    assert read_terms(told_terms(Terms(), Path("runs"))).judges is None
