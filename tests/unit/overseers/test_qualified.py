"""A judge is examined once, before its first verdict; at chance it judges nothing."""

import json

import pytest

from accord.asks.pairs import Pairs
from accord.catalog import build
from accord.desk import FrontDesk
from accord.errors import PlanError, Unreadable
from accord.feedback import Asking, StageFeedback
from accord.overseers.qualified import Case, Examination
from accord.records import By, Judgment, Kind, Prompt, Ranked, Response
from accord.records.rows import Group
from accord.stores.memory import MemoryStore
from accord.worker import Worker

GRADERS = """
import pathlib

def longer(prompts, answers):
    return [float(len(answer)) for answer in answers]

def shorter(prompts, answers):
    return [-float(len(answer)) for answer in answers]

def same(prompts, answers):
    return [1.0] * len(answers)

def sometimes_down(prompts, answers):
    if pathlib.Path("down").exists():
        raise OSError("no route to host")
    return longer(prompts, answers)

def mostly_silent(prompts, answers):
    return [float(len(answer)) if prompt.endswith("00?") or "why" in prompt else None
            for prompt, answer in zip(prompts, answers)]
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graders_to_examine.py").write_text(GRADERS)
    rows = ({"prompt": f"{n}?", "chosen": "the longer one", "rejected": "short"} for n in range(200))
    (tmp_path / "known.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def overseer(name: str, questions: str = "known.jsonl"):
    inner = {"name": "program", "fn": f"graders_to_examine.py:{name}"}
    return build("overseers", {"name": "qualified", "inner": inner, "questions": questions})


def judged(examined, *prompts: str, store=None):
    store = store or MemoryStore()
    groups = []
    for prompt in map(Prompt.of, prompts):
        said = (Response(prompt=prompt.id, text="xx"), Response(prompt=prompt.id, text="x"))
        groups.append(Group(prompt, said))
    with Worker() as worker:
        desk = FrontDesk(lambda records: store.put(*records), lambda: None, store)
        asking = Asking(Pairs(column="p", collapse="distribution"), examined)
        columns = StageFeedback([asking], desk, worker, lambda records: store.put(*records))(groups)
    found = [j for j in store.find("judgment") if isinstance(j, Judgment) and j.by.name == "Qualified"]
    return columns, found, desk.asked


def test_who_is_right_may_judge(place):
    columns, found, asked = judged(overseer("longer"), "why?", "how?")
    assert columns.values["p"].tolist() == [1.0, 1.0]
    assert all("1.000 right of 200 answered, 200 asked" in one.note for one in found)
    # The examination, 200 cases in two orders, two questions, and the two that it was asked itself.
    assert asked == 1 + 400 + 2 + 2


@pytest.mark.parametrize(("name", "why"), [("shorter", "accuracy .000"), ("same", "accuracy .500")])
def test_who_is_not_judges_nothing(place, name, why):
    columns, found, _ = judged(overseer(name), "why?")
    assert columns.missing.tolist() == [True]
    assert [one.abstention for one in found] == ["at_chance"]
    assert why in found[0].note


def test_of_few_that_were_answered_nothing_can_be_told(place):
    columns, found, _ = judged(overseer("mostly_silent"), "why?")
    assert columns.missing.tolist() == [True]
    assert "accuracy may be" in found[0].note
    assert "of 1 answered, 200 asked" in found[0].note


def test_an_examination_on_record_is_not_held_again(place):
    store = MemoryStore()
    judged(overseer("longer"), "why?", store=store)
    _, _, asked = judged(overseer("longer"), "how?", store=store)
    assert asked == 2


def test_a_server_that_is_down_is_not_at_chance(place):
    """Kills: an outage on record as a failed examination, for this judge and file for ever."""
    store = MemoryStore()
    (place / "down").touch()
    columns, (one,), _ = judged(overseer("sometimes_down"), "why?", store=store)
    assert (columns.missing.tolist(), one.abstention) == ([True], "error")
    assert "200 of 200 questions were not answered" in one.note
    (place / "down").unlink()
    columns, _, _ = judged(overseer("sometimes_down"), "why?", store=store)
    assert columns.values["p"].tolist() == [1.0]


class Half:
    """Right in every second case; out of reach for the first ones."""

    answers, config = frozenset({Kind.COMPARE}), "half"

    def __init__(self, away: int) -> None:
        self._away = away

    async def judge(self, question, desk):
        number = int(desk.read(question.prompt).text)
        by = By(type="model", name="half", config="half")
        if number < self._away:
            return Judgment(question=question.id, by=by, abstention="unreachable")
        good, bad = sorted(question.responses, key=lambda one: desk.read(one).text, reverse=number % 2 > 0)
        return Judgment(question=question.id, by=by, verdict=Ranked(tiers=((good,), (bad,))))


@pytest.mark.parametrize(("away", "held"), [(100, False), (60, True)])
def test_an_outage_counts_only_where_it_could_have_decided(away, held):
    """Of the others half are right. With 100 right ones more it would be 150 of 200, with 60 only 130, which
    is .65 and no more."""
    cases = [Case(Prompt.of(str(n)), "a", "b") for n in range(200)]
    desk = FrontDesk(lambda records: None, lambda: None)
    examination = Examination(Half(away), cases)
    with Worker() as worker:
        said = worker.run(desk.ask(examination, examination.question))
    if held:
        assert json.loads(said.verdict.text) == {"right": 70.0, "answered": 140, "asked": 200}
    else:
        assert (said.abstention, said.note) == ("unreachable", "100 of 200 questions were not answered")


def test_the_file_is_part_of_the_hash(place):
    before = overseer("longer").config
    text = (place / "known.jsonl").read_text().replace("short", "brief")
    (place / "known.jsonl").write_text(text)
    assert overseer("longer").config != before


def test_too_few_cases_and_rows_that_are_none_are_refused(place):
    lines = (place / "known.jsonl").read_text().splitlines()
    (place / "few.jsonl").write_text("\n".join(lines[:199]))
    with pytest.raises(PlanError, match="199"):
        str(overseer("longer", "few.jsonl").config)
    (place / "bad.jsonl").write_text(lines[0] + '\n{"prompt": "a", "chosen": "b", "rejected": "b"}\n')
    with pytest.raises(Unreadable, match="2"):
        str(overseer("longer", "bad.jsonl").config)
    with pytest.raises(PlanError, match="none"):
        str(overseer("longer", "none.jsonl").config)
