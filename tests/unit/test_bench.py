"""accord.bench: a step is a whole step on the very rows that were asked for, or an error."""

from __future__ import annotations

import json

import numpy as np
import pytest

from accord import bench
from accord.cli import main
from accord.errors import ContractError
from accord.ports import StepOutcome
from accord.records import Prompt, Response
from accord.records.rows import Group
from accord.testing import save_tiny

PAIRS = [bench.Pair((1, 2), (3, 4, 5), (6,)), bench.Pair((1,), (2, 3), (4, 5, 6, 7))]


class Deaf:
    """A learner that refuses every step."""

    def update(self, batch, step, loss, done=0.0):
        return StepOutcome({}, float("nan"), float("nan"), False, np.zeros(0), 0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("bench") / "tiny"))


def test_rows_hold_the_tokens_and_a_clear_verdict():
    one, two = bench.rows_of("pair", PAIRS)
    assert [e.sequences()[0].tokens for e in one.episodes] == [(1, 2, 3, 4, 5), (1, 2, 6)]
    assert one.columns == {"p": 1.0, "weight": 1.0} and (one.group, two.group) == (0, 1)
    assert len(bench.rows_of("answer", PAIRS)[1].episodes) == 1


def test_no_group_of_rewards_is_equal():
    said = tuple(Response(prompt="p", text="", prompt_tokens=(1,), tokens=(2,), index=i) for i in range(8))
    rows = bench.graded([Group(Prompt.of("a"), said), Group(Prompt.of("b"), said)])
    for group in (0, 1):
        scores = [row.columns["score"] for row in rows if row.group == group]
        assert scores == sorted(set(scores)) and (scores[0], scores[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("name", sorted(bench.CASES))
def test_a_case_is_one_step_of_all_its_rows(name, tiny):
    method, learner = bench.open_case(bench.CASES[name], tiny)
    before = learner.version
    if method.rows.by == "policy":
        asked = [(Prompt.of(text), [3, 1, 2, 3, 3, 1, 2, 2]) for text in ("Why?", "How?")]
        groups = bench.drawn(learner.sampler(), asked, "key")
        assert [len(r.tokens) for r in groups[0].responses] == [3, 1, 2, 3, 3, 1, 2, 2]
        rows = bench.graded(groups)
        whole = sum(len(r.prompt_tokens) + len(r.tokens) for g in groups for r in g.responses)
    else:
        rows = bench.rows_of(method.rows.unit, PAIRS)
        whole = sum(len(s.tokens) for row in rows for e in row.episodes for s in e.sequences())
    assert bench.learnt(method, learner, rows, 0) == whole
    assert learner.version != before


def test_rows_that_would_be_left_out_or_split_are_an_error(tiny):
    case = bench.Case({"name": "sft", "rows_per_step": 1}, "full")
    method, learner = bench.open_case(case, tiny)
    with pytest.raises(ContractError, match="2 rows are one step"):
        bench.learnt(method, learner, bench.rows_of("answer", PAIRS), 0)


def test_a_step_that_was_refused_is_no_figure(tiny):
    method, _ = bench.open_case(bench.CASES["sft"], tiny)
    with pytest.raises(ContractError, match="was refused"):
        bench.learnt(method, Deaf(), bench.rows_of("answer", PAIRS), 0)


def test_answers_of_another_length_are_an_error(tiny):
    class Wilful:
        forced = None

        async def sample(self, prompts, n, how):
            said = Response(prompt=prompts[0].id, text="", prompt_tokens=(1,), tokens=(2,))
            return [Group(prompts[0], (said,) * n)]

    with pytest.raises(ContractError, match=r"\[1, 2\]"):
        bench.drawn(Wilful(), [(Prompt.of("a"), [1, 2])], "key")


def test_quick_tells_every_case_and_the_machine_without_a_pulled_model(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path))
    assert main(["bench", "--quick", "--seconds", "0", "--json", "--quiet"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["model"] == "tiny Llama"
    assert [f["case"] for f in told["figures"]] == ["rollout", *bench.CASES]
    assert all(f["seconds"] > 0 and f["steps"] == 2 and f["tokens_per_second"] > 0 for f in told["figures"])
    assert {"processor", "load", "threads", "torch"} <= set(told["environment"])


def test_without_quick_it_says_what_compares(capsys):
    assert main(["bench"]) == 1
    assert "make bench" in capsys.readouterr().err
