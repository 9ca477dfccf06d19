"""What the recipes choose: one entry for each method, every setting with its reason (layer 4).

Learning rates are those usual for the method, from the sources named beside them; under LoRA they are
five to twenty times those for all weights, as LoRA needs. None was tuned on a benchmark of ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from accord.records import JSON

__all__ = ["RECIPES", "Choice", "Entry", "Rate", "Schedule"]


class Choice(NamedTuple):
    """A setting by its path under the stage, and why it has this value."""

    path: str
    value: JSON
    why: str


class Rate(NamedTuple):
    """A learning rate, and why."""

    lr: float
    why: str


class Schedule(NamedTuple):
    """What the rate does over the stage; ``rise`` is the share of all steps that warm up."""

    name: Literal["constant", "linear", "cosine"]
    rise: float
    why: str


class Entry(NamedTuple):
    """A method: its rates under LoRA and for all weights, its schedule and settings, the rows it learns from.

    ``answers``: the policy answers prompts, else the answers are in the data. ``judged``: its answers have to
    be scored; where not, a reward only judges those to held-out prompts.
    """

    answers: bool
    lora: Rate
    full: Rate
    schedule: Schedule
    choices: tuple[Choice, ...]
    reads: tuple[str, ...]
    judged: bool = True


_PAIRS = ("preference",)
_ANSWERS = ("completion", "label", "text")
_ASKED = ("prompt", "completion", "preference", "label", "steps")
_STEP = Choice("method.rows_per_step", 8, "a step of 8 rows")
_FALL = Schedule("linear", 0.1, "rises over a tenth of the steps, then falls to 0")
_EVEN = Schedule("constant", 0.0, "every window counts alike, however early the run is ended")
_LENGTHS = (
    Choice("source.max_prompt_tokens", 512, "longer prompts lose their oldest turns; cut rows are counted"),
    Choice("source.max_answer_tokens", 512, "longer answers lose their end; cut rows are counted"),
    Choice("source.truncate", "cut_both", "what is too long is cut, and not refused"),
)
_SAMPLING = (
    Choice("source.temperature", 1.0, "answers as the policy gives them; log-probabilities stay its own"),
    Choice("source.max_tokens", 128, "the longest answer"),
)
_BETA = "the pull towards the start: 0.1 in the paper (2305.18290) and in TRL"
_KL = "the price of a nat of KL, within the reward: no bias there"
_TRL_FULL = "all weights: TRL's default for the method"

RECIPES: dict[str, Entry] = {
    "sft": Entry(
        False,
        Rate(1e-4, "LoRA: five times the rate for all weights; TRL's example takes ten times"),
        Rate(2e-5, _TRL_FULL),
        _FALL,
        (_STEP, *_LENGTHS),
        _ANSWERS,
    ),
    "reward_model": Entry(
        False,
        Rate(1e-4, "LoRA: TRL's default for reward models"),
        Rate(1e-5, "all weights: a tenth of the rate under LoRA"),
        _FALL,
        (
            _STEP,
            Choice("method.heads", 3, "where the heads disagree the model does not know, and abstains"),
            *_LENGTHS,
        ),
        _PAIRS,
    ),
    "dpo": Entry(
        False,
        Rate(2e-5, "LoRA: four times TRL's example (5e-6), for runs of some hundred steps"),
        Rate(1e-6, _TRL_FULL),
        _FALL,
        (_STEP, Choice("method.beta", 0.1, _BETA), *_LENGTHS),
        _PAIRS,
    ),
    "ipo": Entry(
        False,
        Rate(2e-5, "LoRA: as for dpo, whose gradients are of like size"),
        Rate(1e-6, "all weights: TRL's default for dpo"),
        _FALL,
        (
            _STEP,
            Choice("method.beta", 0.1, "preferred answers come to stand 1/(2β) nats a token above"),
            *_LENGTHS,
        ),
        _PAIRS,
    ),
    "kto": Entry(
        False,
        Rate(2e-5, "LoRA: as for dpo, whose gradients are of like size"),
        Rate(1e-6, _TRL_FULL),
        _FALL,
        (
            _STEP,
            Choice(
                "method.beta", 0.1, "the pull towards the start: 0.1 in the paper (2402.01306) and in TRL"
            ),
            Choice("source.labels", "column", "it learns from both: what was wanted and what was not"),
            *_LENGTHS,
        ),
        ("label",),
    ),
    "process_reward_model": Entry(
        False,
        Rate(1e-4, "LoRA: as for reward_model"),
        Rate(1e-5, _TRL_FULL),
        _FALL,
        (
            _STEP,
            Choice("source.separator", "\n", "stands between two steps, as in TRL"),
            *_LENGTHS,
        ),
        ("steps",),
    ),
    "grpo": Entry(
        True,
        Rate(2e-5, "LoRA: twenty times the rate for all weights"),
        Rate(1e-6, _TRL_FULL),
        _EVEN,
        (
            Choice("source.per_window", 4, "prompts in a window, each with n answers: one update"),
            Choice("method.n", 8, "answers that are compared with each other: the group"),
            Choice("method.beta", 0.05, _KL),
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "ppo": Entry(
        True,
        Rate(2e-5, "LoRA: seven times the rate for all weights"),
        Rate(3e-6, "all weights: as in the reproduction of 2403.17031"),
        Schedule("linear", 0.0, "falls to 0, as in 2403.17031"),
        (
            Choice("source.per_window", 32, "answers in a window, each to another prompt"),
            Choice("method.epochs", 4, "each window is learnt four times, within the clip"),
            Choice("method.beta", 0.05, _KL),
            Choice(
                "learner.adam", [0.9, 0.999, 1e-5], "ε 1e-5 is what reproductions of PPO need (2403.17031)"
            ),
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "best_of_n": Entry(
        True,
        Rate(1e-4, "LoRA: as for sft"),
        Rate(2e-5, "all weights: as for sft"),
        _EVEN,
        (
            Choice("source.per_window", 8, "prompts in a window, each with n answers: one update"),
            Choice("method.n", 8, "the best of n is learnt; of 8: at most 1.2 nats of KL a round"),
            _STEP,
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "rloo": Entry(
        True,
        Rate(2e-5, "LoRA: twenty times the rate for all weights"),
        Rate(1e-6, _TRL_FULL),
        _EVEN,
        (
            Choice("source.per_window", 8, "prompts in a window, each with n answers: one update"),
            Choice("method.n", 4, "answers to each prompt; each stands against the mean of the others"),
            Choice("method.beta", 0.05, _KL),
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "reinforce_pp": Entry(
        True,
        Rate(2e-5, "LoRA: as for grpo, whose loss it has"),
        Rate(1e-6, "all weights: as for grpo"),
        _EVEN,
        (
            Choice("source.per_window", 32, "answers in a window, each to another prompt: one update"),
            Choice(
                "method.n", 1, "one answer to each prompt; what it is compared with are the other prompts"
            ),
            Choice("method.beta", 0.05, _KL),
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "distill": Entry(
        True,
        Rate(1e-4, "LoRA: as for sft, for every token has a target of its own"),
        Rate(5e-6, "all weights: a quarter of sft's rate, for each target is read off one drawn token"),
        _EVEN,
        (
            Choice("source.per_window", 32, "answers in a window, each to another prompt: one update"),
            Choice(
                "method.n", 1, "answers are learnt one by one, so other prompts say more than other answers"
            ),
            *_SAMPLING,
        ),
        _ASKED,
        judged=False,
    ),
    "conditional": Entry(
        True,
        Rate(1e-4, "LoRA: as for sft"),
        Rate(2e-5, "all weights: as for sft"),
        _EVEN,
        (
            Choice("source.per_window", 8, "prompts in a window, whose answers are ranked together"),
            Choice("method.n", 8, "answers to each prompt, all of which are learnt"),
            Choice("method.unmarked", 0.1, "so the model without a mark stays; held-out figures are of it"),
            _STEP,
            *_SAMPLING,
        ),
        _ASKED,
    ),
    "online_dpo": Entry(
        True,
        Rate(1e-5, "LoRA: twenty times the rate for all weights"),
        Rate(5e-7, _TRL_FULL),
        _EVEN,
        (
            Choice("source.per_window", 8, "prompts in a window, each with a pair of answers: one update"),
            Choice("method.n", 2, "answers to each prompt; of more, the best and the worst make the pair"),
            Choice(
                "method.soft", False, "the higher score is preferred for sure, as published; true: by odds"
            ),
            _STEP,
            Choice("method.beta", 0.1, _BETA),
            *_SAMPLING,
        ),
        _ASKED,
    ),
}
