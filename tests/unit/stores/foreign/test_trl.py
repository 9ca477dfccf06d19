"""A TRL config as a plan: what means the same, what is listed instead, and that nothing is dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accord.errors import AccordError, PlanError, Unreadable
from accord.stores.foreign.trl import Translation, read_trl
from accord.stores.foreign.trl_keys import ALIASES, DEFAULTS, FIXED, OWN, REASONS, TRANSLATED

TRAINING = {
    "learner.lr": 1e-6,
    "learner.weight_decay": 0.0,
    "learner.adam": [0.9, 0.999, 1e-8],
    "learner.max_grad_norm": 1.0,
    "learner.schedule": "linear",
    "learner.adapter": "full",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


def read(file: Path, text: str, method: str | None = None, **told: Any) -> Translation:
    file.write_text(text, encoding="utf-8")
    return read_trl(file, method, **told)


def left(found: Translation) -> dict[str, str]:
    return {one.key: one.reason for one in found.left}


def given(found: Translation) -> set[str]:
    return {one.key for one in found.mapped if one.given}


def test_dpo_as_in_its_example(file: Path) -> None:
    text = """
        # a comment
        model_name_or_path: ./model
        dataset_name: pairs.jsonl
        learning_rate: 5.0e-7
        max_steps: 1000
        per_device_train_batch_size: 2
        gradient_accumulation_steps: 8
        eval_strategy: steps
        eval_steps: 50
        output_dir: out/My DPO
        no_remove_unused_columns: true
        use_peft: true
        lora_r: 32
        lora_alpha: 16
    """
    found = read(file, text, "dpo", held_out=True)
    assert found[:4] == ("dpo", "./model", "pairs.jsonl", "My-DPO")
    assert (found.steps, found.epochs, found.seed, found.rise) == (1000, None, 42, 0.0)
    assert found.settings == TRAINING | {
        "learner.lr": 5e-7,
        "learner.adapter": "lora",
        "learner.rank": 32,
        "learner.alpha": 16,
        "method.rows_per_step": 16,
        "method.beta": 0.1,
        "eval.every": 50,
        "eval.keep": "last",
    }
    assert left(found).keys() == {"no_remove_unused_columns", "lora_dropout", "lora_target_modules"}
    assert "beta" not in given(found) and "learning_rate" in given(found)


def test_grpo_counts_completions(file: Path) -> None:
    text = """
        num_generations: 4
        per_device_train_batch_size: 8
        gradient_accumulation_steps: 2
        steps_per_generation: 4
        beta: 0.04
        epsilon_high: 0.28
        scale_rewards: false
        loss_type: dr_grpo
        max_completion_length: 64
        top_p: 0.9
        use_vllm: true
        reward_funcs: [accuracy_reward]
        reward_model_name_or_path: judge
    """
    found = read(file, text)
    assert found.method == "grpo"
    assert found.reward_models == ("judge",)
    assert found.settings == TRAINING | {
        "source.per_window": 8,
        "source.max_tokens": 64,
        "source.temperature": 1.0,
        "method.n": 4,
        "method.rows_per_step": 16,
        "method.epochs": 1,
        "method.beta": 0.04,
        "method.kl": "loss",
        "method.clip": 0.2,
        "method.clip_high": 0.28,
        "method.per": "max_tokens",
        "method.max_tokens": 64,
        "method.scale_std": False,
        "method.mask_cut": False,
    }
    assert left(found).keys() == {"top_p", "use_vllm", "reward_funcs"}
    plain = read(file, "num_generations: 8").settings
    assert plain["source.per_window"] == 1 and "method.rows_per_step" not in plain
    assert "method.kl" not in plain, "without a penalty it does not matter where it would be"


def test_sft_reward_and_ppo(file: Path) -> None:
    sft = read(
        file, "packing: true\nassistant_only_loss: false\nlr_scheduler_type: cosine\nwarmup_steps: 0.1"
    )
    assert (sft.method, sft.epochs, sft.rise) == ("sft", 3.0, 0.1)
    assert sft.settings["learner.schedule"] == "cosine"
    assert left(sft).keys() == {"packing", "assistant_only_loss"}
    reward = read(file, "center_rewards_coefficient: 0.01\nmax_length: 99")
    assert reward.method == "reward_model"
    assert (reward.settings["method.centering"], reward.settings["method.heads"]) == (0.01, 1)
    assert left(reward).keys() == {"max_length"}
    ppo = read(
        file,
        "sft_model_path: s\nreward_model_path: r\nkl_coef: 0.1\nnum_mini_batches: 2\ntotal_episodes: 100\n"
        "per_device_train_batch_size: 16\nwarmup_steps: 7\nmissing_eos_penalty: 1.5\n",
    )
    assert (ppo.method, ppo.model, ppo.reward_models) == ("ppo", "s", ("r",))
    wanted = {"windows": 7, "source.per_window": 16, "method.rows_per_step": 8, "method.beta": 0.1}
    wanted |= {"method.epochs": 4, "source.temperature": 0.7, "source.max_tokens": 53, "learner.warmup": 7}
    wanted |= {"method.cut_penalty": 1.5}
    assert wanted.items() <= ppo.settings.items()


@pytest.mark.parametrize(
    ("text", "method", "robust"),
    [
        ("loss_type: sigmoid", "dpo", None),
        ("loss_type: [ipo]", "ipo", None),
        ("loss_type: [robust]\nlabel_smoothing: 0.2", "dpo", 0.2),
    ],
)
def test_losses_of_pairs(text: str, method: str, robust: float | None, file: Path) -> None:
    found = read(file, f"f_divergence_type: reverse_kl\n{text}")
    assert (found.method, found.settings.get("method.robust")) == (method, robust)
    assert not left(found)


def test_a_loss_that_is_not_here_is_listed(file: Path) -> None:
    for text in ("loss_type: [sigmoid, sft]", "loss_type: apo_zero"):
        found = read(file, f"ld_alpha: null\n{text}")
        assert "loss_type" in left(found) and found.method == "dpo"


def test_numbers_as_texts_and_switched_off_clipping(file: Path) -> None:
    found = read(file, "learning_rate: 5e-7\nmax_grad_norm: 0\nlabel_smoothing: 0", "dpo")
    assert found.settings["learner.lr"] == 5e-7, "YAML takes 5e-7 for a text, TRL for a number"
    assert found.settings["learner.max_grad_norm"] == 1e9
    with pytest.raises(PlanError, match="learning_rate = 'fast'"):
        read(file, "learning_rate: fast", "dpo")
    with pytest.raises(PlanError, match="a whole number"):
        read(file, "max_steps: 2.5", "dpo")
    with pytest.raises(PlanError, match="a multiple of num_generations"):
        read(file, "num_generations: 3")


# Nothing is dropped


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("value", [None, True, 0, 7, "text", ["a"], {"a": 1}], ids=repr)
def test_every_key_ends_as_mapped_or_left(method: str, value: object, file: Path) -> None:
    """Whatever a key says, it is mapped, listed with a reason, or refused by name."""
    for key in sorted({*TRANSLATED, *FIXED, *REASONS, *ALIASES, "odd_key"}):
        try:
            found = read(file, json.dumps({key: value}), method)
        except PlanError as error:
            assert ALIASES.get(key, key) in str(error)
            continue
        name = ALIASES.get(key, key)
        assert [one.key for one in (*found.mapped, *found.left)].count(name) >= 1, key
        assert all(one.reason for one in found.left)
        assert not {one.key for one in found.left} & given(found), key


def test_the_vocabulary_is_whole_and_says_nothing_twice() -> None:
    tables = (TRANSLATED, FIXED.keys(), REASONS.keys())
    assert sum(map(len, tables)) == len(set().union(*tables))
    known = set().union(*tables)
    assert not set().union(*OWN.values()) - known
    assert not {key for told in DEFAULTS.values() for key in told} - TRANSLATED
    assert set(ALIASES.values()) <= known
    assert DEFAULTS.keys() == OWN.keys()


def test_it_is_the_vocabulary_of_trl_where_that_is_installed() -> None:
    trl: Any = pytest.importorskip(
        "trl", reason="TRL is not installed: its keys are compared in the bench group"
    )
    from dataclasses import fields

    known = TRANSLATED | FIXED.keys() | REASONS.keys()
    for config in (trl.SFTConfig, trl.DPOConfig, trl.RewardConfig, trl.GRPOConfig, trl.ModelConfig):
        assert not {field.name for field in fields(config)} - known, config.__name__


def test_an_unknown_key_gets_the_nearest_name(file: Path) -> None:
    found = read(file, "learning_rat: 1\nbeta: 0.2\nlabel_smoothing: 0.0")
    assert left(found)["learning_rat"] == 'no key of TRL 1.16. did you mean "learning_rate"?'


def test_older_names_mean_the_same(file: Path) -> None:
    found = read(file, "evaluation_strategy: steps\neval_steps: 5\ntorch_dtype: auto", "dpo", held_out=True)
    assert found.settings["eval.every"] == 5
    assert left(found).keys() == {"dtype"}


# What is no config


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [1,", "run.yaml:1"),
        ("- a\n- b\n", "keys and values in YAML"),
        ("", "keys and values in YAML"),
        ("seed: 1\nbeta: 2\nseed: 3\n", "run.yaml:3: expected each key once"),
        ("seed: !!python/object/apply:os.getcwd []\n", "run.yaml:1"),
    ],
)
def test_what_is_no_config_is_unreadable(text: str, says: str, file: Path) -> None:
    with pytest.raises(Unreadable) as error:
        read(file, text, "dpo")
    assert says in str(error.value)


def test_a_method_that_does_not_show_is_asked_for(file: Path) -> None:
    for text, says in [
        ("learning_rate: 1.0e-5", "none of its keys"),
        ("beta: 0.1", "its keys fit dpo, grpo"),
        ("num_generations: 8\nkl_coef: 0.1", "num_generations, kl_coef belong to no one"),
    ]:
        with pytest.raises(PlanError, match=says):
            read(file, text)
    with pytest.raises(PlanError, match='did you mean "grpo"'):
        read(file, "beta: 0.1", "grppo")


def test_a_file_that_is_not_there(file: Path) -> None:
    with pytest.raises(AccordError, match=r"run\.yaml"):
        read_trl(file, "dpo")
