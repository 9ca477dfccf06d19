"""What lies within reach is reached by what the base does itself, by the variant that costs least, and what
it held stays. Mutants: a figure of the anchor in the method's own, one denominator for both, the largest
share chosen instead of the least drift, a variant trained again after a kill, a sealed prompt trained on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from accord import catalog
from accord.engines.local import Local
from accord.errors import PlanError, Refused
from accord.methods.best_of_n import BestOfN
from accord.plan import read_plan
from accord.progress import Silent
from accord.records import Episode, Kind, Prompt, Question, Response
from accord.records.panels import Item
from accord.records.portraits import Share, Standing
from accord.records.rows import Group, Row, Window
from accord.sources import Surroundings
from accord.stage import finished
from accord.steward import trial
from accord.steward.amplify import Variant, amplify, chosen
from accord.steward.anchored import Anchored
from accord.steward.approved import Approved
from accord.steward.drift import Gauge
from accord.steward.effort import Effort
from accord.steward.mixing import Mixed
from accord.steward.variants import STAGE, Terms, forms, rows_of
from accord.testing.checks_training import check_method
from accord.testing.leaves import judged
from accord.testing.organisms.aims import Aims
from accord.testing.organisms.aims_checks import kept
from accord.values import read_values
from accord.worker import Worker

SMALL = Effort(samples=4, told=1, windows=3, variants=2, items=6, max_tokens=6)
ENGINE = Local(adapter="full", lr=3e-3, precision="float32", decode="float32", device="cpu")
GUARD = {"indicator": [{"name": "diversity"}], "probes": 2, "answers": 2, "max_tokens": 6}


def share(value: float) -> Share:
    return Share(value=value, low=value, high=value, n=12)


def standing(principle: str, part: str, target: float, **shares: float) -> Standing:
    told = {name: share(value) for name, value in shares.items()}
    verdict = "within reach" if told else "held"
    about = {"principle": principle, "slice": part, "target": target, "verdict": verdict, "why": "planted"}
    return Standing.model_validate({**about, **told})


def planted_in(principle: str, target: float, **shares: float) -> list[Standing]:
    return [standing(principle, part, target, **shares) for part in ("land", "water")]


def around(base: Aims) -> Terms:
    return Terms(unrelated=str(base.unrelated), learner=ENGINE, guard=GUARD, store="none", n=4, per_window=10)


def test_the_variant_that_reaches_it_with_least_drift_is_kept_through_a_kill(
    planted: Aims, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = read_values(planted.values)
    within, held = planted_in("kind-greeting", 0.8, best=1.0), planted_in("says-please", 0.75)
    given: dict[str, Any] = {"runs": tmp_path, "name": "steward", "effort": SMALL, "engine": ENGINE}
    given |= {"terms": around(planted), "held": held}

    class Killed(Silent):
        def advance(self, done: float = 1, note: str = "") -> None:
            if note.startswith("window 2") and finished(tmp_path / "steward-own" / STAGE):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        amplify(str(planted.model), values, within, **given, progress=Killed())
    first = tmp_path / "steward-own" / STAGE / "model" / "model.safetensors"
    before = first.stat().st_mtime_ns
    assert not finished(tmp_path / "steward-own-gentle" / STAGE)
    found = amplify(str(planted.model), values, within, **given)
    assert first.stat().st_mtime_ns == before, "what had finished was not trained again"
    own, gentle = found.variants
    assert (own.name, gentle.name) == ("own", "own-gentle") and own.reached and gentle.reached
    assert found.chosen == 1 and found.model == gentle.model and "own" in found.why
    assert gentle.bits is not None and own.bits is not None and 0 < gentle.bits < own.bits - 0.05
    for one in found.variants:
        assert not one.lost, one.lost
        assert all(s.own is not None and s.own.value >= 0.8 for s in one.standings(within))
        assert one.pressure["pushed_answers"] == 0 and one.unused is not None and 0 < one.unused < 1
        assert one.drift is not None and one.after is not None and one.seconds > 0
    assert len(found.rows()) == 2 and found.rows()[1]["variant"] == "own-gentle (chosen)"
    written = json.loads((tmp_path / "steward" / "amplified.json").read_text("utf-8"))
    assert [one["name"] for one in written["variants"]] == ["own", "own-gentle"], "of the other one too"
    asked = [
        json.loads(line)["prompt"]
        for file in (tmp_path / "steward" / "data").glob("*.jsonl")
        for line in file.read_text("utf-8").splitlines()
    ]
    assert len(asked) > 50 and not values.leaks(Prompt.of(one) for one in asked)
    with pytest.raises(Refused, match="another plan"):
        more = SMALL.model_copy(update={"windows": 4})
        amplify(str(planted.model), values, within, **{**given, "effort": more})
    order = trial.Order(tmp_path, "other", SMALL, around(planted))
    with trial.bench(str(planted.model), values, order, ENGINE, None) as here:
        sealed = values.slices("kind-greeting")[0].audit[0].prompt.text
        with pytest.raises(Refused, match="sealed half"):
            here.write(
                [{"prompt": "Greet.", "completion": "Hey."}, {"prompt": sealed.upper(), "completion": "x"}]
            )
    values.__dict__["checks"] = "what its checks do by now"
    with trial.bench(str(planted.model), values, order._replace(name="steward"), ENGINE, None) as here:
        plan = read_plan(tmp_path / "steward-own" / "plan.toml")
        with pytest.raises(Refused, match="or for other values or checks"):
            here.trained("own", plan)


def test_what_is_said_when_told_stands_there_untold(planted: Aims, tmp_path: Path) -> None:
    values = read_values(planted.values)
    (form,) = forms(planted_in("gives-reason", 0.8, halfway=0.3), 1)
    rows = rows_of(form, values)
    assert form.told and {row["told"] for row in rows} == {"Give a reason with each yes."}
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    beside = tmp_path / "beside.jsonl"
    lines = (
        json.dumps({"prompt": f"Call the {how} ant.", "completion": "Come.", "open": how == "fat"})
        for how in ["big", "fat", "sad"]
    )
    beside.write_text("\n".join(lines), "utf-8")
    source = Mixed(prompts=str(file), anchor=str(beside), per_window=12, anchors=3, max_tokens=9)
    policy, judged_of = ENGINE.sampler(str(planted.model), Silent()), list[Group]()
    with Worker() as worker:
        opened = source.open(Surroundings("run/stage", 0, BestOfN(n=2).rows, worker))
        window = opened.window(0, policy, judged_of.extend)
    own = [row for row in window.rows if "anchor" not in row.columns]
    assert (len(own), len(window.rows), len(judged_of)) == (24, 27, 12), "nobody judges an anchor"
    answers = [(g.prompt, r) for g in judged_of for r in g.responses]
    assert np.mean(kept([p.text for p, _ in answers], [r.text for _, r in answers])) > 0.7, "told, it does"
    for (prompt, said), row in zip(answers, own, strict=True):
        assert row.episodes[0].prompt_tokens == (policy.encode(prompt, "").prompt_tokens,), "and is untold"
        assert said.seed.startswith("told/") and row.episodes[0].tokens == (said.tokens,)
    lengths = sorted(len(row.episodes[0].tokens[0]) for row in window.rows[24:])
    assert lengths == [2, 3, 3], "the end of one that was cut is not learnt"
    groups = {row.group for row in own}
    assert not groups & {row.group for row in window.rows[24:]}


def test_the_anchor_has_a_term_of_its_own_and_is_in_no_figure_of_the_method() -> None:
    def row(number: int, tokens: int, **columns: float) -> Row:
        said = tuple(range(5, 5 + tokens))
        episode = Episode(
            prompt=f"p{number}", responses=(f"r{number}",), prompt_tokens=((1,),), tokens=(said,)
        )
        return Row((episode,), columns, group=number)

    inner = BestOfN(n=2, threshold=1.0, rows_per_step=2)
    drawn = [row(0, 2, score=1.0), row(1, 3, score=0.0), row(2, 4, score=1.0), row(3, 1, score=1.0)]
    held = [row(4, 7, anchor=1.0), row(5, 2, anchor=1.0, weight=0.5)]
    method = Anchored(inner=inner, weight=0.25)
    plain, _ = inner.batch(Window(0, tuple(drawn)), {}, np.random.default_rng(0))
    batch, _ = method.batch(Window(0, (held[0], *drawn, held[1])), {}, np.random.default_rng(0))
    assert {**plain.scalars, "anchors": 2.0} == dict(batch.scalars)
    assert batch.weights == {"nll": 1.0, "anchor": 0.25}
    assert [c["nll"] for c in batch.counts] == [c["nll"] for c in plain.counts]
    assert sorted(c["anchor"] for c in batch.counts) == [2.0, 7.0], "each with one step, by its own tokens"
    own_T, held_T = batch.tokens["weight"], batch.tokens["anchor"]
    assert (own_T.sum(), held_T.sum()) == (7.0, 8.0) and not (own_T * held_T).any()
    nothing, _ = method.batch(Window(0, (row(1, 3, score=0.0), held[0])), {}, np.random.default_rng(0))
    assert not nothing.steps, "where nothing is accepted nothing is held"
    check_method(method)
    with pytest.raises(PlanError, match="likelihood alone"):
        catalog.build(
            "methods", {"name": "accord.steward.anchored:Anchored", "inner": {"name": "grpo"}}, "method"
        )


TWO = """\
name = "two"
{principles}
"""
ONE = """
[[principle]]
id = "{name}"
kind = "rule"
text = "{name}"
check = "check.py:{name}"
target = 0.5
hard = {hard}
prompts = "rows.jsonl"
"""
CHECK = """
def soft(prompts, answers):
    assert "!" not in answers
    return [None if "?" in answer else float("soft" in answer) for answer in answers]


def firm(prompts, answers):
    return [None if "?" in answer else float("firm" in answer) for answer in answers]
"""


def test_an_answer_is_approved_that_keeps_its_own_principles_and_every_hard_one(tmp_path: Path) -> None:
    (tmp_path / "check.py").write_text(CHECK, "utf-8")
    rows = [{"prompt": f"Question {i}", "slice": "s"} for i in range(24)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")

    def said(hard: bool, *answers: str) -> list[float | str | None]:
        both = [ONE.format(name="soft", hard="false"), ONE.format(name="firm", hard=str(hard).lower())]
        (tmp_path / "two.toml").write_text(TWO.format(principles="".join(both)), "utf-8")
        prompt = Prompt.of("Why", principles=["soft"])
        responses = [Response(prompt=prompt.id, text=text) for text in answers]
        questions = [Question(asks=Kind.GRADE, prompt=prompt.id, responses=(r.id,)) for r in responses]
        approved = Approved(values=str(tmp_path / "two.toml"))
        found = judged(approved, questions, [Group(prompt, tuple(responses))])
        return [j.abstention or j.verdict.scores["score"] for j in found]  # type: ignore[union-attr]

    assert said(False, "soft", "firm", "soft?") == [1.0, 0.0, "out_of_support"]
    assert said(True, "soft", "firm", "soft firm", "soft?") == [0.0, 0.0, 1.0, 0.0]
    assert said(True, "!") == said(False, "!") == ["error"], "a check that fails has not looked"


def test_drift_has_its_interval_over_prompts_and_not_over_answers_that_are_alike() -> None:
    items = tuple(Item(Prompt.of(f"Q{i // 4}"), answer=f"a{i}") for i in range(8))
    found = Gauge("task", items, cast(Any, None))._over_prompts(np.array([0.0] * 4 + [1.0] * 4))
    assert found == (0.5, 0.0, 1.0), "two prompts, however often each was answered"


def test_a_variant_that_loses_what_was_held_is_not_chosen() -> None:
    def one(name: str, bits: float, **more: Any) -> Variant:
        reading = type("R", (), {"change": bits / 8})()
        return Variant(name, "", Path(), forward_kl=reading, **{"reached": True, **more})

    variants = [one("a", 0.5), one("b", 0.1, lost=("x, y",)), one("c", 0.2, reached=False), one("d", 0.4)]
    place, why = chosen(variants)
    assert place == 3 and "d reaches every target at 0.4000" in why and "a 0.5000" in why
    assert "chosen among 4 on the prompts its share is read on" in why
    place, why = chosen(variants[1:3])
    assert place is None and "b (loses x, y), c (falls short)" in why
