"""Models behind servers in every role of a run but the pupil's: each asked what is its own, and paid for.

Mutants: a speaker's model opened in the judge's place, a role whose calls are in no account, a pupil behind a
server that is trained all the same, a teacher whose tokens are taken for the pupil's.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from accord.engines.scripted import Scripted
from accord.errors import PlanError
from accord.pipeline import Outcome, run
from accord.plan import Plan
from accord.progress import Progress, Silent
from accord.records import Cost, Judgment, Reading, Response
from accord.stores.runlog import read_log
from accord.testing import Asked, OpenAIServer
from accord.testing.openai_server import ABLE

Table = dict[str, Any]

WORDS = ("yes", "no", "so")
CHATS = frozenset({"neutral", "schema"})  # no more than that
SPLIT = "def split(question, answers, **columns):\n    yield f'Is it so that {question}'\n"
RUBRIC = "The better answer is right."
PRINCIPLE = "Say what is so."


def chooses(asked: Asked) -> str:
    """The last option of the schema: a verdict that no order of the words makes up."""
    form = cast("Table", asked.body.get("response_format") or {})
    if not form:
        return "I see."
    ((key, value),) = form["json_schema"]["schema"]["properties"].items()
    return json.dumps({key: value["enum"][-1]})


def judging(servers: dict[str, OpenAIServer]) -> Table:
    return {"name": "judge", "model": servers["judge"].model, "rubric": RUBRIC}


def debated(servers: dict[str, OpenAIServer]) -> Table:
    inner = {"name": "constitution", "inner": judging(servers), "principles": [PRINCIPLE]}
    speakers = [servers["one"].model, servers["other"].model]
    return {"name": "debate", "speakers": speakers, "rounds": 1, "inner": inner}


def consulted(servers: dict[str, OpenAIServer]) -> Table:
    return {"name": "consult", "adviser": servers["one"].model, "inner": judging(servers)}


def split(servers: dict[str, OpenAIServer]) -> Table:
    asks = {"split": "split.py:split", "depth": 1, "branching": 1, "model": servers["one"].model}
    return {"name": "amplified", **asks, "inner": judging(servers)}


def foreseen(servers: dict[str, OpenAIServer]) -> Table:
    return {"name": "hindsight", "reveal": "full", "model": servers["one"].model, "inner": judging(servers)}


def voted(servers: dict[str, OpenAIServer]) -> Table:
    members = [{**judging(servers), "model": servers[name].model} for name in ("judge", "one")]
    return {"name": "jury", "members": members}


def often(servers: dict[str, OpenAIServer]) -> Table:
    return {**judging(servers), "samples": 3}


ROLES: dict[str, tuple[Callable[[dict[str, OpenAIServer]], Table], dict[str, str]]] = {
    "judge": (judging, {"judge": RUBRIC}),
    "samples": (often, {"judge": RUBRIC}),
    "debate": (debated, {"judge": PRINCIPLE, "one": "You defend answer", "other": "You defend answer"}),
    "consult": (consulted, {"judge": RUBRIC, "one": "You advise a judge"}),
    "amplified": (split, {"judge": RUBRIC, "one": "Is it so that"}),
    "hindsight": (foreseen, {"judge": RUBRIC, "one": "what came of this answer"}),
    "jury": (voted, {"judge": RUBRIC, "one": RUBRIC}),
}


def planned(overseer: Table, model: str = "scripted", **told: Any) -> Plan:
    """Two windows of DPO on pairs of own answers, or what ``told`` says."""
    stage: Table = {
        "name": "told",
        "windows": 2,
        "source": {"name": "rollouts", "prompts": "prompts.jsonl", "per_window": 2, "max_tokens": 3},
        "ask": [{"name": "pairs", "column": "score", "collapse": "bt", "overseer": overseer}],
        "method": {"name": "online_dpo", "n": 2},
        "learner": {"name": "scripted", "words": list(WORDS), "longest": 3},
        "guard": {"probes": 2, "answers": 1, "max_tokens": 3, "indicator": [], "rule": [{"name": "fault"}]},
        **told,
    }
    return Plan.model_validate({"name": "p", "purpose": "explore", "model": model, "stage": [stage]})


def went(plan: Plan, here: Path, progress: Progress | None = None) -> Outcome:
    return run(plan, runs=here / "runs", name="r", store="none", progress=progress)


class Heard(Silent):
    """Keeps what the first screen says."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def said(outcome: Outcome) -> list[Judgment]:
    return cast("list[Judgment]", read_log(outcome.folder / "told").records("judgment"))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = (json.dumps({"prompt": f"Is {n} more than {n + 1}?"}) for n in range(8))
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "split.py").write_text(SPLIT, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_run_learns_from_models_behind_servers(role: str, here: Path) -> None:
    table, asks = ROLES[role]
    with ExitStack() as stack:
        # Each speaks from an address of its own.
        names = ("judge", "one", "other")
        servers = {name: stack.enter_context(OpenAIServer(chooses, does=CHATS)) for name in names}
        heard = Heard()
        outcome = went(planned(table(servers)), here, heard)
        asked = {name: [one.text for one in server.asked] for name, server in servers.items()}
        models = {name: server.model for name, server in servers.items()}
    assert outcome.action == "done"
    for name, of in asks.items():
        assert any(of in text for text in asked[name]), f"{name} is asked what is its own"
    assert {name for name, texts in asked.items() if texts} == set(asks)
    found = said(outcome)
    assert found and not [one.abstention for one in found if one.abstention]
    assert {one.by.name for one in found if one.by.type == "model"} <= set(models.values())
    # Beside these, servers were asked only what shows what they can.
    counted = sum(of in text for name, of in asks.items() for text in asked[name])
    assert sum((one.cost for one in found), Cost()).calls == counted
    (told,) = [text for text in heard.said if text.startswith("overseers: ")]
    assert f" {counted:,} calls of models" in told, "as foretold"


def test_the_other_of_two_is_a_model_behind_a_server(here: Path) -> None:
    with OpenAIServer(chooses) as judge, OpenAIServer(lambda asked: "so no so") as other:
        overseer = {"name": "judge", "model": judge.model, "rubric": RUBRIC}
        versus: Table = {"model": other.model, "prompts": "prompts.jsonl", "max_tokens": 3}
        outcome = went(planned(overseer, versus={**versus, "overseer": overseer}), here)
        assert any("more than" in one.text for one in other.asked)
    log = read_log(outcome.folder / "told")
    answers = cast("list[Response]", log.records("response"))
    assert [one for one in answers if one.policy.startswith("openai:") and one.text == "so no so"]
    (rate,) = [
        one for one in log.records("reading") if isinstance(one, Reading) and one.name == "versus.scripted"
    ]
    assert rate.n == 8, "every prompt, in both orders"


def test_the_pupil_is_none(here: Path) -> None:
    with OpenAIServer(chooses) as server, pytest.raises(PlanError, match="weights") as caught:
        went(planned({"name": "judge", "model": server.model, "rubric": RUBRIC}, server.model), here)
    assert "server" in str(caught.value)


@pytest.mark.parametrize(("does", "why"), [(CHATS, "logp"), (ABLE, "tokens cannot be compared")])
def test_a_teacher_is_none(does: frozenset[str], why: str, here: Path) -> None:
    speaks = Scripted(words=WORDS, longest=3, tensors="numpy").sampler("scripted", Silent())
    with OpenAIServer(speaks, does=does) as server, pytest.raises(PlanError) as caught:
        went(planned({}, ask=[], method={"name": "distill", "teacher": server.model}), here)
    assert why in str(caught.value)
