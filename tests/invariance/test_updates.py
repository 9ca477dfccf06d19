"""One step is one step, however its rows are split, ordered or padded; and k turns are one sequence.

Limits hold on the largest and on the mean deviation of all trained weights after three AdamW steps. AdamW
divides by the root of the second moment, so where a gradient is next to nothing the sign of a rounding error
decides: the largest may reach a fraction of the learning rate (5e-3), the mean may not.
Mutants: a mean over the micro-batch for the count of the step, gradients not added, rows left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local.learner import LocalLearner
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.records import Episode, Prompt, Response
from accord.records.rows import Batch, Row

Gap = Callable[[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor]], tuple[float, float]]
Learners = Callable[..., LocalLearner]
TEXTS = [
    "a",
    "hello",
    "a much longer answer than all the others, with words",
    "é🎈",
    "",
    "no",
    "so it is.",
    "x" * 30,
]
MAX, MEAN = 1e-3, 2e-6


def rows(made: LocalLearner, allowed: tuple[int, ...] | None = None, temperature: float = 1.0) -> list[Row]:
    found: list[Row] = []
    for i, text in enumerate(TEXTS):
        prompt = Prompt(messages=Prompt.of("?" * (1 + 5 * (i % 3))).messages, allowed=allowed)
        told = made.sampler().encode(prompt, text).model_dump() | {"temperature": temperature}
        found.append(Row((Episode.single(Response.model_validate(told), allowed),), {"weight": 1 + i / 4}))
    return found


def batch_of(made: LocalLearner, **told: Any) -> Batch:
    return likelihood_batch(rows(made, **told), 3, len(TEXTS), np.random.default_rng(0), {})


def trained(made: LocalLearner, batch: Batch) -> dict[str, torch.Tensor]:
    for step in range(3):
        assert made.update(batch, step, SFT().loss).applied
    return {name: p.detach().clone() for name, p in made._trained.items()}


def close(gap: Gap, one: Mapping[str, torch.Tensor], two: Mapping[str, torch.Tensor]) -> None:
    largest, mean = gap(one, two)
    assert largest <= MAX
    assert mean <= MEAN


@pytest.mark.parametrize("adapter", ["lora", "full"])
@pytest.mark.parametrize("budget", [16, 64, 200])
def test_micro_batches_give_the_weights_of_the_whole(
    learner: Learners, gap: Gap, adapter: str, budget: int
) -> None:
    whole, split = learner(adapter, tokens_per_pass=4096), learner(adapter, tokens_per_pass=budget)
    start = {name: p.detach().clone() for name, p in whole._trained.items()}
    wanted = trained(whole, batch_of(whole))
    assert gap(wanted, start)[1] > 100 * MEAN, "they moved much further than they may differ"
    close(gap, wanted, trained(split, batch_of(split)))


def test_micro_batches_report_what_the_whole_reports(learner: Learners) -> None:
    found = []
    for budget in (16, 64, 4096):
        made = learner(tokens_per_pass=budget)
        found.append(made.update(batch_of(made), 0, SFT().loss))
    for outcome in found[1:]:
        assert outcome.terms["nll"] == pytest.approx(found[0].terms["nll"], rel=1e-5)
        assert outcome.grad_norm == pytest.approx(found[0].grad_norm, rel=1e-4)
        assert outcome.pressure_T == pytest.approx(found[0].pressure_T, abs=1e-8)
        assert outcome.logp_T == pytest.approx(found[0].logp_T, rel=1e-5)
        assert outcome.tokens == found[0].tokens


@pytest.mark.parametrize("adapter", ["lora", "full"])
def test_the_order_of_rows_does_not_matter(learner: Learners, gap: Gap, adapter: str) -> None:
    one, two = learner(adapter), learner(adapter)
    batch = batch_of(one)
    turned = replace(batch, steps=tuple(step[::-1] for step in batch.steps))
    close(gap, trained(one, batch), trained(two, turned))
    three = learner(adapter)
    shuffled = likelihood_batch(rows(three)[::-1], 3, len(TEXTS), np.random.default_rng(1), {})
    close(gap, trained(learner(adapter), batch), trained(three, shuffled))


def test_what_pads_a_row_does_not_reach_it(learner: Learners, gap: Gap) -> None:
    """A row of weight 0 that is much longer than all others changes the padding and nothing else."""
    one, two = learner(), learner()
    short = rows(one)[:2]
    alone = likelihood_batch(short, 3, 2, np.random.default_rng(0), {})
    long = replace(rows(one)[7], columns={"weight": 0.0})
    padded = likelihood_batch([*short, long], 3, 3, np.random.default_rng(0), {})
    padded = replace(padded, counts=alone.counts)
    close(gap, trained(one, alone), trained(two, padded))


def test_a_weight_of_two_is_a_row_that_stands_twice(learner: Learners, gap: Gap) -> None:
    one, two = learner(), learner()
    base = [replace(row, columns={}) for row in rows(one)[:3]]
    doubled = [replace(base[0], columns={"weight": 2.0}), *base[1:]]
    weighted = likelihood_batch(doubled, 3, 9, np.random.default_rng(0), {})
    twice = likelihood_batch([base[0], *base], 3, 9, np.random.default_rng(0), {})
    twice = replace(twice, counts=weighted.counts)
    close(gap, trained(one, weighted), trained(two, twice))


def test_two_turns_are_one_sequence(learner: Learners, gap: Gap) -> None:
    """A conversation forwarded once, against each turn forwarded by itself behind its own history."""
    one, two = learner(), learner()
    first, second = (257, 260, 97, 258, 261), (98, 258)
    third, fourth = (260, 99, 258, 261), (100, 101, 258)
    told: dict[str, Any] = {"prompt": "p", "tokens": (second, fourth), "responses": ("a", "b")}
    whole = Episode(prompt_tokens=(first, (*first, *second, *third)), **told)
    assert len(whole.sequences()) == 1
    turns = [
        Episode(prompt="p", responses=("a",), prompt_tokens=(first,), tokens=(second,)),
        Episode(prompt="p", responses=("b",), prompt_tokens=((*first, *second, *third),), tokens=(fourth,)),
    ]
    together = likelihood_batch([Row((whole,))], 3, 1, np.random.default_rng(0), {})
    apart = likelihood_batch([Row(tuple(turns))], 3, 1, np.random.default_rng(0), {})
    assert together.counts == apart.counts == ({"nll": 5.0},) * 3
    close(gap, trained(one, together), trained(two, apart))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 3.0])
@pytest.mark.parametrize("allowed", [None, (*range(256), 258), (*b"abehlorstx ", 258)])
def test_temperature_and_allowed_hold_alike_in_score_and_update(
    learner: Learners, temperature: float, allowed: tuple[int, ...] | None
) -> None:
    """The objective of an update is −mean of what the sampler scores, under the same temperature and mask."""
    import asyncio

    from accord.records.rows import Text

    made = learner()
    said = ["hello", "so x", "the"]
    texts: list[Text] = []
    for i, text in enumerate(said):
        prompt = Prompt(messages=Prompt.of("?" * (1 + 7 * i)).messages, allowed=allowed)
        told = made.sampler().encode(prompt, text).model_dump() | {"temperature": temperature}
        texts.append(Text(prompt, Response.model_validate(told)))
    found = asyncio.run(made.sampler().score(texts, frozenset({"logp"})))
    logp = np.concatenate([s.columns["logp"] for s in found])
    taught = [Row((Episode.single(t.response, t.prompt.allowed),)) for t in texts]
    batch = likelihood_batch(taught, 1, 3, np.random.default_rng(0), {})
    outcome = made.update(batch, 0, SFT().loss)
    if allowed is None or all(t in allowed for text in said for t in text.encode()):
        assert outcome.objective == pytest.approx(-logp.mean(), rel=1e-5)
        assert outcome.applied
    else:
        assert not outcome.applied
        assert not np.isfinite(logp).all()


def test_an_update_moves_nothing_outside_what_is_allowed(learner: Learners) -> None:
    """Full weights, one allowed list: the head's rows of other tokens get no gradient at all."""
    allowed = (*b"ab", 258)
    made = learner("full")
    prompt = Prompt(messages=Prompt.of("?").messages, allowed=allowed)
    row = Row((Episode.single(made.sampler().encode(prompt, "ab"), allowed),))
    before = made._model.get_output_embeddings().weight.detach().clone()
    batch = likelihood_batch([row], 1, 1, np.random.default_rng(0), {})
    assert made.update(batch, 0, SFT().loss).applied
    moved = (made._model.get_output_embeddings().weight.detach() - before).abs().sum(1)
    others = [t for t in range(len(moved)) if t not in allowed]
    assert float(moved[others].max()) == 0.0
    assert float(moved[list(allowed)].min()) > 0.0


def test_a_step_that_is_skipped_leaves_the_next_as_it_would_have_been(learner: Learners, gap: Gap) -> None:
    """A refused update leaves no trace in the moments."""
    one, two = learner(), learner()
    batch = batch_of(one)
    two.update(batch, 0, lambda out, part: {"nll": SFT().loss(out, part)["nll"] * float("nan")})
    assert gap(trained(one, batch), trained(two, batch)) == (0.0, 0.0)
