"""Recipes: a plan of a method, data and a model; what depends on what, and what is refused before a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord import catalog
from accord.errors import PlanError
from accord.plan import read_plan
from accord.recipe_book import RECIPES
from accord.recipes import Choice, Length, Recipe, Wish, recipe
from accord.stores.foreign.prompts import read_data

ROWS = 60
FILES = {"sft": "answers", "reward_model": "pairs", "dpo": "pairs", "ipo": "pairs", "kto": "labels"}
FILES |= {"process_reward_model": "steps"}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    asked = [f"What is {i} plus {i}?" for i in range(ROWS)]
    write("answers", [{"prompt": q, "completion": "Four."} for q in asked])
    write("pairs", [{"prompt": q, "chosen": "Four.", "rejected": "Five."} for q in asked])
    write("labels", [{"prompt": q, "completion": "Four.", "label": i % 2 == 0} for i, q in enumerate(asked)])
    steps = {"completions": ["Two.", "Four."], "labels": [True, False]}
    write("steps", [{"prompt": q, **steps} for q in asked])
    write("ask", [{"prompt": q, "answer": i} for i, q in enumerate(asked)])
    write("texts", [{"text": q} for q in asked])
    (tmp_path / "my.py").write_text("def right(prompts, answers):\n    return [1.0] * len(answers)\n")
    return tmp_path


def write(name: str, rows: list[dict[str, Any]]) -> None:
    Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def made(method: str, *settings: str, **told: Any) -> Recipe:
    online = RECIPES[method].answers if method in RECIPES else False
    rewards = {"rewards": ("my.py:right",)} if online and "reward_models" not in told else {}
    data = told.pop("data", f"{FILES.get(method, 'ask')}.jsonl")
    settings = (*settings, "method.teacher=t") if method == "distill" else settings
    return recipe(Wish(method, data, "m", **{**rewards, **told}, settings=settings))


def stage(found: Recipe) -> dict[str, Any]:
    table: Any = found.plan.table()["stage"]
    return table[0]


@pytest.mark.parametrize("method", RECIPES)
def test_each_recipe_is_a_whole_plan_that_says_why(method: str) -> None:
    found = made(method)
    catalog.check(found.plan)
    assert read_plan(found.plan.toml()).hash == found.plan.hash
    assert found.plan.purpose == "explore"
    table = stage(found)
    for choice in found.choices:
        value: Any = table
        for step in choice.path.split("."):
            value = value[step]
        assert value == choice.value, choice
        assert choice.why, choice
    assert len({choice.path for choice in found.choices}) == len(found.choices)


@pytest.mark.parametrize("method", RECIPES)
def test_held_out_rows_are_no_rows_that_train(method: str) -> None:
    table = stage(made(method))
    source = table["source"].get("data") or table["source"]["prompts"]
    held = table["held_out"]["prompts"] if RECIPES[method].answers else table["eval"]["source"]["data"]
    trained, kept = ({p.id for p in read_data(at).prompts} for at in (source, held))
    assert trained and kept and not trained & kept
    assert Path(source.rpartition(":")[0]).is_absolute()
    if "reward_model" not in method:
        probes = {p.id for p in read_data(table["guard"]["prompts"]).prompts}
        assert probes and not probes & (trained | kept)


def test_a_file_of_held_out_rows_leaves_all_others_to_train() -> None:
    write("other", [{"prompt": "Who?", "chosen": "I.", "rejected": "You."}] * 2)
    table = stage(made("dpo", held_out="other.jsonl"))
    assert table["source"]["data"] == str(Path("pairs.jsonl").resolve())
    assert table["eval"]["source"]["data"] == table["guard"]["prompts"] == str(Path("other.jsonl").resolve())
    assert "eval" not in stage(made("dpo", held_out="none"))
    assert (
        stage(made("sft", data="texts.jsonl", held_out="none"))["guard"]["prompts"] == "short-questions:probe"
    )
    with pytest.raises(PlanError, match=r"gone\.jsonl"):
        made("dpo", held_out="gone.jsonl")


def test_the_rate_follows_the_adapter_unless_it_is_set() -> None:
    lora, full = (stage(made("sft", *told))["learner"] for told in ((), ("learner.adapter=full",)))
    assert (lora["adapter"], lora["lr"]) == ("lora", 1e-4)
    assert (full["adapter"], full["lr"]) == ("full", 2e-5)
    assert stage(made("sft", "stage.sft.learner.adapter=full", "learner.lr=0.5"))["learner"]["lr"] == 0.5
    (told,) = [c for c in made("sft", "learner.lr=0.5").choices if c.path == "learner.lr"]
    assert (told.value, told.why) == (0.5, "you set it")


@pytest.mark.parametrize(
    ("length", "windows", "per_window"),
    [
        (Length(steps=8), 2, 32),
        (Length(steps=6), 2, 24),
        (Length(steps=7), 7, 8),
        (Length(windows=5), 5, 32),
        (Length(epochs=2), 3, 32),
        (Length(), 2, 32),
    ],
)
def test_steps_are_exact_and_epochs_cover_the_rows(length: Length, windows: int, per_window: int) -> None:
    """35 rows train, a step is 8 of them."""
    assert len(read_data("pairs.jsonl:train").rows) == 35
    table = stage(made("dpo", length=length))
    assert (table["windows"], table["source"]["per_window"]) == (windows, per_window)


def test_steps_of_rollouts_are_counted_by_what_a_window_teaches() -> None:
    assert stage(made("grpo", length=Length(steps=7)))["windows"] == 7
    assert stage(made("ppo", length=Length(steps=7)))["windows"] == 2, "four passes over each window"
    halves = made("grpo", "method.rows_per_step=16", length=Length(steps=8))
    assert stage(halves)["windows"] == 4, "32 answers in steps of 16"
    assert stage(made("grpo", "source.per_window=11"))["windows"] == 4, "35 prompts, each once"


def test_what_goes_by_the_length_follows_it() -> None:
    table = stage(made("sft", length=Length(steps=100)))
    assert table["learner"]["warmup"] == 10
    assert (table["guard"]["every"], table["eval"]["every"], table["checkpoint"]["every"]) == (5, 20, 10)
    assert stage(made("sft", length=Length(steps=100), rise=0.0))["learner"].get("warmup") is None


def test_settings_reach_every_table() -> None:
    table = stage(made("dpo", "eval.patience=3", "windows=9", "guard.probes=2", "seed=5"))
    assert (table["eval"]["patience"], table["windows"], table["guard"]["probes"]) == (3, 9, 2)
    assert made("dpo", "seed=5").plan.seed == 5
    assert stage(made("grpo", "held_out.n=7"))["held_out"]["n"] == 7
    before = (Choice("eval.keep", "last", "TRL"), Choice("method.beta", 0.7, "TRL"))
    table = stage(made("dpo", choices=before))
    assert (table["eval"]["keep"], table["method"]["beta"]) == ("last", 0.7)
    with pytest.raises(PlanError, match='did you mean "patience"'):
        made("dpo", "eval.patienc=3")


def test_rewards_become_one_overseer() -> None:
    def overseer(**told: Any) -> Any:
        return stage(made("grpo", **told))["ask"][0]["overseer"]

    whole = f"{Path('my.py').resolve()}:right"
    assert overseer() == {"name": "program", "fn": whole}
    several = overseer(rewards=("my.py:right=0.5", "json:dumps"))
    assert several == {"name": "program", "fn": [whole, "json:dumps"], "weights": [0.5, 1.0]}
    assert overseer(rewards=("my.py:right=2",)) == {"name": "program", "fn": whole, "weights": [2.0]}
    Path("judge").mkdir()
    named = overseer(rewards=(), reward_models=("judge",))
    assert (named["name"], named["models"]) == ("reward", [str(Path("judge").resolve())])
    critic = stage(made("ppo", reward_models=("judge",)))["learner"]["critic"]
    assert critic == named["models"][0]
    assert "critic" not in stage(made("ppo"))["learner"]


@pytest.mark.parametrize(
    ("method", "told", "says"),
    [
        ("dpoo", {}, 'did you mean "dpo"'),
        ("dpo", {"data": "answers.jsonl"}, "rows of type completion: sft, grpo, ppo, best_of_n"),
        ("sft", {"data": "pairs.jsonl"}, "source.columns.completion=chosen"),
        ("grpo", {"data": "texts.jsonl"}, "rows of type text: sft can learn"),
        ("dpo", {"data": "gone.jsonl"}, "gone.jsonl"),
        ("dpo", {"rewards": ("my.py:right",)}, "dpo learns from its data alone"),
        ("grpo", {"rewards": ()}, "--reward my.py:reward"),
        ("grpo", {"rewards": ("my.py:right",), "reward_models": ("x",)}, "one kind of them"),
        ("grpo", {"rewards": ("my.py:right=much",)}, "'much' is no number"),
        ("grpo", {"rewards": ("my.py:right=nan",)}, "'nan' is no number"),
    ],
)
def test_what_cannot_be_is_said_before_a_run(method: str, told: dict[str, Any], says: str) -> None:
    with pytest.raises(PlanError) as error:
        made(method, **told)
    assert says in str(error.value)


def test_the_better_answers_of_pairs_can_be_learnt_alone() -> None:
    table = stage(made("sft", "source.columns.completion=chosen", data="pairs.jsonl"))
    assert table["source"]["columns"] == table["eval"]["source"]["columns"] == {"completion": "chosen"}


def test_kto_learns_from_both_sorts_of_labels_here_and_where_it_is_evaluated() -> None:
    table = stage(made("kto"))
    assert table["source"]["labels"] == table["eval"]["source"]["labels"] == "column"
    with pytest.raises(PlanError, match=r"rows of type preference: (?!.*kto)"):
        made("kto", data="pairs.jsonl")


def test_steps_are_joined_alike_here_and_where_they_are_evaluated() -> None:
    table = stage(made("process_reward_model", 'source.separator=" "'))
    assert table["source"]["separator"] == table["eval"]["source"]["separator"] == " "
    assert "prompts" not in table["guard"], "a model that says nothing is asked nothing"


def test_a_teacher_needs_no_reward_and_one_judges_held_out_answers_alone() -> None:
    judged, alone = made("distill"), made("distill", rewards=())
    assert stage(judged)["held_out"]["prompts"].endswith(":held_out")
    assert not stage(alone).get("ask") and "held_out" not in stage(alone)
    assert stage(alone)["source"]["prompts"].endswith(":train")
    assert any("no --reward" in note for note in alone.notes)
    assert "held_out" not in stage(made("distill", rewards=(), held_out="none"))
    with pytest.raises(PlanError, match="--reward or --reward-model judges"):
        made("distill", rewards=(), held_out="ask.jsonl")
    with pytest.raises(PlanError, match="the student's tokenizer") as caught:
        recipe(Wish("distill", "ask.jsonl", "m"))
    assert caught.value.path == "stage[0].method.teacher"


def test_too_few_rows_to_hold_any_out() -> None:
    write("few", [{"prompt": "Who?", "chosen": "I.", "rejected": "You."}])
    with pytest.raises(PlanError, match="train on all of them: --eval none"):
        made("dpo", data="few.jsonl")
    assert stage(made("dpo", data="few.jsonl", held_out="none"))["windows"] == 1
