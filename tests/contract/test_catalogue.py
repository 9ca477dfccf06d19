"""Every part of the catalogue keeps the promises of its port."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract.test_worlds import TASKS, WORLDS

from accord.catalog import CATALOG, build
from accord.panels import read_panel
from accord.ports import Grouped, Indicator, Learner, Overseer, Sampler, Shape, Task
from accord.progress import Silent
from accord.records import Prompt
from accord.records.panels import Item
from accord.records.rows import Columns, Group
from accord.sources import Surroundings
from accord.stores.memory import MemoryStore
from accord.stores.sql import SqlStore
from accord.testing import (
    PlainLikelihood,
    Scripted,
    ScriptedIndicator,
    ScriptedOverseer,
    a_group,
    a_response,
    check_ask,
    check_indicator,
    check_learner,
    check_method,
    check_overseer,
    check_panelled,
    check_rule,
    check_sampler,
    check_source,
    check_store,
    save_tiny,
    scored,
)
from accord.worker import Worker

METHODS: dict[str, list[dict[str, Any]]] = {
    "best_of_n": [{}, {"n": 2, "epochs": 3, "rows_per_step": 2}, {"threshold": 0.5}, {"threshold": 99.0}],
    "compatible": [
        {"inner": {"name": "best_of_n", "n": 3}},
        {"inner": {"name": "grpo", "n": 3}, "outside": 0.5, "max_nats": 1.0},
        {"inner": {"name": "rloo", "epochs": 2, "rows_per_step": 2}, "push_down": 0.5},
        {"inner": {"name": "ppo", "n": 2, "rows_per_step": 2}, "outside": 0.0},
        {"inner": {"name": "dpo", "rows_per_step": 1}, "outside": 0.3},
    ],
    "conditional": [{}, {"marks": ["no", "yes"], "unmarked": 0.5, "n": 3, "epochs": 2, "rows_per_step": 1}],
    "constrained": [
        {"inner": {"name": "grpo", "n": 3}, "limits": {"harm": 0.3}},
        {"inner": {"name": "rloo"}, "limits": {"harm": 0.3}, "control": "naive"},
        {"inner": {"name": "ppo", "n": 2}, "limits": {"harm": 0}, "mode": "probability", "eps": 0.2},
        {"inner": {"name": "reinforce_pp", "n": 2}, "limits": {"harm": 0}, "mode": "hard"},
    ],
    "distill": [{"teacher": "t"}, {"teacher": "t", "n": 3, "clip": 0.2, "epochs": 2, "rows_per_step": 2}],
    "dpo": [{}, {"robust": 0.2, "beta": 0.5, "epochs": 2, "rows_per_step": 1}],
    "grpo": [
        {},
        {"beta": 0.0, "epochs": 2, "rows_per_step": 3},
        {"kl": "loss", "n": 4},
        {"kl": "loss", "per": "sequence", "rows_per_step": 4, "clip_high": 0.28},
        {"per": "max_tokens", "max_tokens": 9, "scale_std": False},
    ],
    "ipo": [{}, {"beta": 1.0, "epochs": 2, "rows_per_step": 1}],
    "kto": [{}, {"wanted_weight": 2.0, "beta": 0.5, "epochs": 2, "rows_per_step": 1}],
    "online_dpo": [{}, {"n": 4, "beta": 1.0, "epochs": 2, "rows_per_step": 1}],
    "ppo": [{}, {"beta": 0.0, "whiten": False, "rows_per_step": 2, "n": 4}, {"whiten_rewards": True}],
    "process_reward_model": [{}, {"heads": 3}, {"heads": 2, "bootstrap": False, "rows_per_step": 1}],
    "reinforce_pp": [
        {},
        {"beta": 0.0, "epochs": 2, "rows_per_step": 3, "clip_high": 0.28},
        {"baseline": "group", "n": 3},
        {"baseline": "group", "n": 2, "whiten": False, "rows_per_step": 4},
    ],
    "reward_model": [{}, {"heads": 1}, {"heads": 2, "bootstrap": False, "centering": 0.1}],
    "rloo": [
        {},
        {"beta": 0.0, "epochs": 2, "rows_per_step": 3, "clip": 0.2},
        {"kl": "loss", "n": 2},
        {"kl": "loss", "rows_per_step": 4},
    ],
    "sft": [{}, {"epochs": 2, "rows_per_step": 1}],
}
# Of methods that read other columns than score, or p and weight.
COLUMNS = {"constrained": ("score", "cost:harm"), "kto": ("label",)}
ALL_WAYS = ("distribution", "majority", "per_group", "bt")
ASKS: dict[str, list[dict[str, Any]]] = {
    "against": [
        {"column": "score", "collapse": "distribution"},
        {"column": "score", "collapse": "majority", "base": "other"},
        {"column": "score", "collapse": "per_group", "strength": "bt_margin"},
    ],
    "all_pairs": [
        *({"column": "score", "collapse": way, "nway": nway} for way in ALL_WAYS for nway in (False, True)),
        {"column": "score", "collapse": "bt", "strength": "bt_margin"},
    ],
    "each": [
        {"column": "score", "collapse": "distribution"},
        {"column": "score", "collapse": "majority", "dimensions": ["true", "kind"], "scale": [1, 5]},
        {"column": "score", "collapse": "per_group"},
        {"column": "cost:harm", "collapse": "quantile", "q": 0.5},
    ],
    "pairs": [
        *({"column": "p", "collapse": way} for way in ALL_WAYS[:3]),
        {"column": "score", "collapse": "bt"},
        {"column": "p", "collapse": "distribution", "strength": "bt_margin", "allows": ["tie"]},
    ],
    "steps": [
        *({"column": "score", "collapse": way} for way in ALL_WAYS[:3]),
        {"column": "score", "collapse": "quantile", "q": 0.5, "scale": [0, 1]},
    ],
}
RULES: dict[str, dict[str, Any]] = {
    "both_fell": {},
    "canary": {},
    "drift": {"scalar": "objective", "early": 2},
    "entropy_price": {},
    "fault": {},
    "fell": {"indicator": "measure", "by": 0.5},
    "gaming": {},
    "grew": {"indicator": "measure", "times": 2.0},
    "missing": {},
    "non_finite": {},
    "over": {"indicator": "measure", "level": 0.45},
    "overuse": {},
    "page": {},
    "rose": {"indicator": "measure", "by": 0.1},
    "unread": {"indicator": "measure"},
}
INDICATORS: dict[str, list[dict[str, Any]]] = {
    "base_rank": [{}],
    "canaries": [{}],
    "compatibility": [{"instruction": "Be brief."}],
    "compression": [{}],
    "diversity": [{}],
    "effective_diversity": [{}, {"quality": {"name": "program", "fn": "accord.overseers.program:short"}}],
    "entropy": [{}],
    "overton_coverage": [{}],
    "repetition": [{}, {"n": 1}],
    "reverse_kl": [{}],
    "shallow_depth": [{}, {"first": 1, "least": 2}],
    "support_exit": [{}],
    "template_collapse": [{}, {"batch": 4, "every": 1}],
}
# They ask items of a panel. Of forward_kl the items are the base's own answers.
PANELLED = (
    "calibration",
    "calibration_error",
    "capability",
    "capability_free",
    "contested",
    "forward_kl",
    "greedy_rank",
    "misfire",
    "preferences",
    "refusals",
    "refused",
    "sycophancy",
    "sycophancy_said",
    "tampering",
    "unsaid",
    "unsaid_free",
    "watched",
    "wide_diversity",
)
ENGINES = ("local", "openai_http", "ranks", "scripted")  # ranks: tests/invariance/test_ranks.py
SOURCES = ("episodes", "offline", "rollouts")
STORES: dict[str, Callable[[Path], Any]] = {
    "memory": lambda folder: MemoryStore(),
    "sql": lambda folder: SqlStore(f"sqlite:///{folder}/{len(list(folder.iterdir()))}.db"),
}
# test_overseers.py has them. customer: tests/unit/worlds; human, judge, reward: tests/unit/overseers.
OVERSEERS = [
    "amplified",
    "assisted",
    "both_orders",
    "budget",
    "calibrated",
    "constitution",
    "consult",
    "customer",
    "debate",
    "hindsight",
    "human",
    "judge",
    "jury",
    "noisy",
    "program",
    "qualified",
    "reward",
    "spot_checked",
]
TALK = (Prompt.of("Why?"), Prompt.of("Tell me a long story of three sentences."), Prompt.of("é\u2028?"))


def each(table: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [pytest.param(n, s, id=f"{n}-{i}") for n, made in table.items() for i, s in enumerate(made)]


STUDIES = sorted((Path(__file__).parents[1] / "unit" / "studies").glob("test_*.py"))


def test_nothing_in_the_catalogue_is_left_out() -> None:
    covered = {
        "asks": ASKS.keys(),
        "engines": set(ENGINES),
        "indicators": {*INDICATORS, *PANELLED, "own"},  # own has a file: tests/unit/indicators/test_own.py
        "methods": METHODS.keys(),
        "overseers": set(OVERSEERS),
        "rules": RULES.keys(),
        "sources": {*SOURCES, "labelled"},  # it needs people's answers: tests/unit/test_people_in_runs.py
        "stores": STORES.keys(),
        "studies": {one.stem.removeprefix("test_") for one in STUDIES} & CATALOG["studies"].keys(),
        "tasks": TASKS.keys(),
        "worlds": WORLDS.keys(),
    }
    assert covered == {group: names.keys() for group, names in CATALOG.items()}


@pytest.mark.parametrize(("name", "settings"), each(METHODS))
def test_methods(name: str, settings: dict[str, Any]) -> None:
    check_method(build("methods", {"name": name, **settings}), columns=COLUMNS.get(name, ()))


def test_the_method_without_torch() -> None:
    check_method(PlainLikelihood(), tensors="numpy")
    check_method(PlainLikelihood(), tensors="torch")


@pytest.mark.parametrize(("name", "settings"), each(ASKS))
def test_asks(name: str, settings: dict[str, Any]) -> None:
    ask = build("asks", {"name": name, **settings})
    if isinstance(ask, Grouped):
        ask = ask.grouped(dict.fromkeys(("rater", "rater 0", "rater 1", "rater 2"), "everybody"))
    # Of four answers in two pairs no fit says which pair is the better, so none of them is rated.
    more = () if (name, settings["collapse"]) == ("pairs", "bt") else ("maybe", "so")
    check_ask(ask, [asked("Why?", name, "yes", "no", *more), asked("How?", name, "thus", "never")])


def asked(text: str, ask: str, *answers: str) -> Group:
    """A prompt that has base answers, and answers to it, or the steps of one."""
    prompt = Prompt.of(text, reference="perhaps", other="who knows")
    said = [a_response(prompt, answer, i) for i, answer in enumerate(answers)]
    if ask == "steps":
        lengths = np.cumsum([0, *(len(one.tokens) for one in said)])
        whole = (1, 2, *(token for one in said for token in one.tokens))
        said = [
            one.model_copy(update={"prompt_tokens": whole[: 2 + n]})
            for one, n in zip(said, lengths, strict=False)
        ]
    return Group(prompt, tuple(said))


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    check_rule(build("rules", {"name": name, **RULES[name]}))


def test_the_scripted_overseer() -> None:
    groups = [a_group("Why?", "yes", "no"), a_group("How?", "so it is", "no")]
    check_overseer(ScriptedOverseer(grades={"yes": 1, "no": 0, "so it is": 1}), groups, order_free=True)


def speaker(spread: float, lr: float = 0.5) -> Scripted:
    words = ("a", "b", "c", "d", "e", "f")
    return Scripted(words=words, shortest=1, longest=6, spread=spread, lr=lr, tensors="numpy")


@pytest.mark.parametrize(("name", "settings"), each(INDICATORS))
def test_indicators(name: str, settings: dict[str, Any]) -> None:
    policy, base = (speaker(s).sampler("scripted", Silent()) for s in (1.5, 0.3))
    prompts = [Prompt.of(f"probe {i}") for i in range(6)]
    check_indicator(build("indicators", {"name": name, **settings}), policy, base, prompts)


def test_the_scripted_indicator() -> None:
    base = speaker(0.3).sampler("scripted", Silent())
    check_indicator(ScriptedIndicator(values=(0.5,)), base, base, [Prompt.of("a"), Prompt.of("b")])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def local(adapter: str = "lora", lr: float = 1e-3) -> Any:
    return build(
        "engines",
        {
            "name": "local",
            "adapter": adapter,
            "lr": lr,
            "decode": "float32",
            "precision": "float32",
            "device": "cpu",
        },
    )


@pytest.mark.parametrize("name", PANELLED)
def test_panelled_indicators(name: str, tiny: Path) -> None:
    indicator = build("indicators", {"name": name})
    sampler = local().sampler(str(tiny), Silent())
    items = [Item(prompt, answer="so it is") for prompt in TALK]
    if indicator.panel != "base":
        items = [item for item in read_panel(indicator.panel).items if indicator.takes(item)][:4]
    check_panelled(indicator, sampler, items)


def test_the_scripted_sampler() -> None:
    check_sampler(speaker(1.0).sampler("scripted", Silent()), TALK, tolerance=1e-12)


def test_the_local_sampler(tiny: Path) -> None:
    check_sampler(local().sampler(str(tiny), Silent()), TALK)


@pytest.mark.parametrize("tensors", ["numpy", "torch"])
def test_the_scripted_learner(tensors: Any, tmp_path: Path) -> None:
    engine = speaker(1.0).model_copy(update={"tensors": tensors})

    def fresh() -> Learner:
        return engine.learner("scripted", Task("run/stage", 0))

    check_learner(fresh, TALK, tmp_path, other=lambda: engine.sampler("scripted", Silent()))


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_local_learner(adapter: str, tiny: Path, tmp_path: Path) -> None:
    engine = local(adapter)

    def fresh() -> Learner:
        return engine.learner(str(tiny), Task("run/stage", 0))

    check_learner(fresh, TALK, tmp_path, other=lambda: engine.sampler(str(tiny), Silent()))


@pytest.mark.parametrize("name", STORES)
def test_stores(name: str, tmp_path: Path) -> None:
    opened: list[Any] = []

    def fresh() -> Any:
        opened.append(STORES[name](tmp_path))
        return opened[-1]

    try:
        check_store(fresh)
    finally:
        for store in opened:
            getattr(store, "close", lambda: None)()


def graded(groups: Sequence[Group]) -> Columns:
    return scored(groups, {"a": 1.0, "b": 0.0, "a a": 2.0, "c": 1.0, "d d": 0.5})


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name: str, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    rows = [{"prompt": f"question {i}", "completion": "a b"} for i in range(7)]
    data.write_text("\n".join(json.dumps(row) for row in rows))
    settings: dict[str, Any] = {
        "episodes": {"world": {"name": "guess", "numbers": 6}, "seeds": 7},
        "offline": {"data": str(data)},
        "rollouts": {"prompts": str(data)},
    }[name]
    part: Any = build("sources", {"name": name, "per_window": 3, **settings})
    shape = Shape("answer", 1, "data") if name == "offline" else Shape("answer", 2, "policy")
    policy = speaker(1.0).sampler("scripted", Silent())
    with Worker() as worker:
        around = Surroundings("run/stage", 5, shape, worker)
        check_source(lambda: part.open(around), policy, graded, shape=shape)
        check_source(lambda: part.open(around), policy, lambda groups: None, shape=shape)


def test_fakes_are_the_parts_they_stand_for() -> None:
    """Structural: what pyright would say, said at run time of the names a port lists."""
    base: Sampler = speaker(0.3).sampler("scripted", Silent())
    indicator: Indicator = ScriptedIndicator(values=(0.5,))
    overseer: Overseer = ScriptedOverseer(grades={})
    assert base.can >= indicator.wants
    assert overseer.answers
