from pathlib import Path

import pytest

from accord.errors import PlanError, Unreadable
from accord.stores.people import Project

WHOLE = """
title = "Helpful answers"
instructions = "Read **both**."
minimum = 10
maximum = 200
pay = "9 an hour"
[groups]
age = ["under 40", "40 and over"]
[qualification]
questions = "gold.jsonl"
passing = 0.9
[consent]
text = "I agree"
version = "2026-01"
[instrument]
wording = "Which is better?"
version = "1"
"""


def written(tmp_path, text):
    path = tmp_path / "project.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_project(tmp_path):
    project = Project.load(written(tmp_path, WHOLE))
    assert (project.title, project.maximum, project.k, project.gold) == ("Helpful answers", 200, 10, 0.05)
    assert project.groups == {"age": ("under 40", "40 and over")}
    assert project.qualification.questions == str(tmp_path / "gold.jsonl")
    assert project.instrument.wording == "Which is better?"
    assert Project.model_validate_json(project.model_dump_json(exclude_defaults=True)) == project


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("titel = 'x'", r'(?s)^titel.*did you mean "title"'),
        ("k = 1", "^k = 1"),
        ("gold = 0.9", "gold = 0.9"),
        ("minimum = 5\nmaximum = 4", "minimum = 5"),
        ("[groups]\nage = ['young']", "groups.age"),
        ("[groups]\nage = ['a', 'b']", "consent"),
        ("[qualification]\npassing = 0.5", "qualification.questions"),
        ("[consent]\ntext = 'x'\nversion = ''", "consent.version"),
        ("lease = inf", "lease"),
    ],
)
def test_a_wrong_setting_is_told_by_its_path(tmp_path, text, told):
    with pytest.raises(PlanError, match=told):
        Project.load(written(tmp_path, text))


def test_files_are_named_from_beside_the_project_wherever_it_is_read(tmp_path, monkeypatch):
    written(tmp_path, "gold_questions = 'g.jsonl'\n[qualification]\nquestions = 'q.jsonl'")
    monkeypatch.chdir(tmp_path)
    project = Project.load(Path("project.toml"))
    assert project.gold_questions == str(tmp_path / "g.jsonl")
    assert project.qualification.questions == str(tmp_path / "q.jsonl")


def test_no_project(tmp_path):
    for path in (written(tmp_path, "title = "), tmp_path / "none.toml"):
        with pytest.raises(Unreadable, match="a labelling project in TOML"):
            Project.load(path)
