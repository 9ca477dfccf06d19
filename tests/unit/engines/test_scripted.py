"""The scripted engine against numbers by hand, and its two ways to a gradient against each other."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from accord.engines.scripted import Scripted, ScriptedLearner, Table, evaluate
from accord.errors import ContractError, PlanError, Unreadable
from accord.maths.batches import likelihood_batch
from accord.methods.sft import SFT
from accord.ports import How, Task
from accord.progress import Silent
from accord.records import Episode, Message, ModelRef, Prompt
from accord.records.rows import Row, Text
from accord.studies.lessons import chosen
from accord.worlds.absent import Absent

WHY = Prompt.of("Why?")
ENGINE = Scripted(p={"Why?": (0.7, 0.2, 0.1)}, lr=1.0, tensors="numpy")
WANT = frozenset({"logp", "rank", "entropy", "support"})


def learner(engine: Scripted = ENGINE, model: str = "scripted") -> ScriptedLearner:
    made: Any = engine.learner(model, Task("run/stage", 0))
    return made


def scored(made: Any, text: str, prompt: Prompt = WHY) -> dict[str, list[float]]:
    sampler = made.sampler() if isinstance(made, ScriptedLearner) else made
    said = sampler.encode(prompt, text)
    if prompt.allowed is not None and said.tokens[-1] not in prompt.allowed:
        said = chosen(sampler, prompt, text)
    (found,) = asyncio.run(sampler.score([Text(prompt, said)], WANT))
    return {name: column.tolist() for name, column in found.columns.items()}


def taught(made: ScriptedLearner, text: str, loss: Any = None) -> Any:
    said = made.sampler().encode(WHY, text)
    batch = likelihood_batch([Row((Episode.single(said),))], 1, 1, np.random.default_rng(0), {})
    return made.update(batch, 0, loss or (lambda out, part: {"nll": -out.logp_T.sum()}))


def test_the_four_columns_by_hand() -> None:
    entropy = -sum(p * math.log(p) for p in (0.7, 0.2, 0.1))
    for word, p, rank, support in (("yes", 0.7, 0, 1), ("no", 0.2, 1, 1), ("maybe", 0.1, 2, 1)):
        found = scored(learner(), word)
        assert found["logp"] == pytest.approx([math.log(p), 0.0])
        assert found["rank"] == [rank, 0]
        assert found["entropy"] == pytest.approx([entropy, 0.0])
        assert found["support"] == [support, 1]
    tail = Scripted(words=("a", "b", "c"), p={"Why?": (0.9, 0.06, 0.04)}).sampler("scripted", Silent())
    assert [scored(tail, w)["support"][0] for w in "abc"] == [1, 1, 0], "a and b already hold .96"


def test_temperature_and_allowed_by_hand() -> None:
    sampler = ENGINE.sampler("scripted", Silent())
    (group,) = asyncio.run(sampler.sample([WHY], 400, How("k", 0.5)))
    share = np.mean([r.text == "yes" for r in group.responses])
    assert share == pytest.approx(0.49 / 0.54, abs=0.05), "p² over their sum"
    narrow = Prompt(messages=WHY.messages, allowed=(0, 2, 3))
    assert scored(sampler, "no", narrow)["logp"] == pytest.approx([math.log(2 / 3), 0.0])
    with pytest.raises(PlanError, match="allowed"):
        asyncio.run(sampler.sample([Prompt(messages=WHY.messages, allowed=(0,))], 1, How("k")))


def test_one_step_by_hand() -> None:
    """θ ← θ + lr/2·(1[yes] − p): logits log .7 + .15, log .2 − .1, log .1 − .05; the end has no choice."""
    made = learner()
    outcome = taught(made, "yes")
    assert outcome.objective == pytest.approx(-math.log(0.7) / 2)
    assert outcome.pressure_T == pytest.approx([-0.5, -0.5])
    assert outcome.logp_T == pytest.approx([math.log(0.7), 0.0])
    assert outcome.grad_norm == pytest.approx(0.5 * math.sqrt(0.3**2 + 0.2**2 + 0.1**2))
    raised = np.array([0.7 * math.exp(0.15), 0.2 * math.exp(-0.1), 0.1 * math.exp(-0.05)])
    assert scored(made, "yes")["logp"][0] == pytest.approx(math.log(raised[0] / raised.sum()))
    assert scored(made, "yes", Prompt.of("How?"))["logp"][0] == pytest.approx(math.log(1 / 3)), (
        "only this row"
    )


@pytest.mark.parametrize("power", [1, 2, 3])
def test_both_ways_to_a_gradient_agree(power: int) -> None:
    made = learner()
    said = made.sampler().encode(WHY, "yes")
    batch = likelihood_batch([Row((Episode.single(said),))], 1, 1, np.random.default_rng(0), {})

    def loss(out: Any, part: Any) -> Any:
        return {"a": (out.logp_T**power).sum(), "b": (out.logp_T * out.logp_T[0]).sum()}

    logp, scale = np.array([-0.3, -1.7]), {"a": 0.5, "b": -2.0}
    one, two = (evaluate(loss, batch, logp, scale, way) for way in ("torch", "numpy"))
    assert one.totals == pytest.approx(two.totals)
    assert one.pressure_T == pytest.approx(two.pressure_T, abs=1e-8)
    with pytest.raises(ContractError, match="returns the terms"):
        evaluate(loss, batch, logp, {"a": 1.0}, "numpy")


def test_sft_runs_with_torch_and_says_so_without() -> None:
    made = learner(ENGINE.model_copy(update={"tensors": "torch"}))
    assert taught(made, "yes", SFT().loss).applied
    assert scored(made, "yes")["logp"][0] > math.log(0.7)
    with pytest.raises((AttributeError, TypeError)):
        taught(learner(), "yes", SFT().loss)


def test_lengths_are_kept() -> None:
    sampler = Scripted(words=tuple("ab"), shortest=2, longest=4).sampler("scripted", Silent())
    (group,) = asyncio.run(sampler.sample([WHY], 300, How("k")))
    lengths = {len(r.text.split()) for r in group.responses}
    assert lengths == {2, 3, 4}
    (cut,) = asyncio.run(sampler.sample([WHY], 5, How("k", 1.0, 2)))
    assert {r.finish for r in cut.responses} == {"length"}


def test_the_strings_of_three_bits_sum_to_one() -> None:
    """The fifteen strings of up to three bits, each with the end behind it."""
    sampler = Scripted(words=tuple("01"), shortest=0, longest=3, spread=1.0).sampler("scripted", Silent())
    strings = [" ".join(f"{i:0{n}b}") for n in range(1, 4) for i in range(2**n)] + [""]
    assert len(strings) == 15
    mass = [math.exp(sum(scored(sampler, s)["logp"])) for s in strings]
    assert sum(mass) == pytest.approx(1)
    assert len({round(m, 9) for m in mass}) == 15


def test_a_conversation_extends_itself() -> None:
    sampler = ENGINE.sampler("scripted", Silent())
    said = sampler.encode(WHY, "yes")
    then = (*WHY.messages, Message(role="assistant", content="yes"), Message(role="user", content="Really?"))
    second = sampler.encode(Prompt(messages=then), "no")
    assert second.prompt_tokens[: len(said.prompt_tokens) + 2] == (*said.prompt_tokens, *said.tokens)


def test_export_opens_again_and_only_as_it_was_made(tmp_path: Path) -> None:
    made = learner()
    taught(made, "no")
    made.export(tmp_path / "out")
    assert scored(learner(model=str(tmp_path / "out")), "no") == scored(made, "no")
    assert scored(ENGINE.sampler(str(tmp_path / "out"), Silent()), "no") == scored(made, "no")
    with pytest.raises(PlanError, match="words and first probabilities"):
        Scripted().learner(str(tmp_path / "out"), Task("r/s", 0))
    with pytest.raises(PlanError, match="scripted engine exported"):
        ENGINE.check(str(tmp_path))
    (tmp_path / "out" / "scripted.json").write_text("{")
    with pytest.raises(Unreadable, match=r"scripted\.json"):
        ENGINE.check(str(tmp_path / "out"))
    with pytest.raises(Unreadable, match=r"learner\.json"):
        made.restore(ModelRef(name="x", path=str(tmp_path)))


def test_a_table_is_json_to_the_bit() -> None:
    made = learner()
    for _ in range(3):
        taught(made, "maybe")
    told = json.loads(json.dumps(made._table.written()))
    assert told == made._table.written()
    assert isinstance(made._table, Table)


@pytest.mark.parametrize(
    "told",
    [
        {"words": ()},
        {"words": ("a", "a")},
        {"words": ("two words",)},
        {"shortest": 2, "longest": 1},
        {"p": {"Why?": (0.5, 0.5)}},
        {"p": {"Why?": (0.5, 0.6, -0.1)}},
    ],
)
def test_what_cannot_speak_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Scripted(**told)


def test_a_word_it_does_not_have_is_a_plan_error() -> None:
    with pytest.raises(PlanError, match="yes no maybe"):
        ENGINE.sampler("scripted", Silent()).encode(WHY, "perhaps")


# sees = "last": a row for the last message. Mutants: the first message is the state, what was said of the
# answer is not seen, the end is said though it is not allowed, tokens that are not those of the alphabet.

CORRIDOR = Absent(rate=0.0)
LAST = Scripted(words=CORRIDOR.alphabet, sees="last", lr=4.0, tensors="numpy")


def test_the_last_message_is_the_state_and_words_have_the_tokens_of_the_alphabet() -> None:
    made = learner(LAST)
    first = CORRIDOR.open().reset("1")
    later = first.then("up", Message(role="user", content="# A <act>")).then("left", first.messages[-1])
    one, two = (made.sampler().encode(p, "right") for p in (first, later))
    assert one.tokens == (CORRIDOR.words.encode("right")[0], len(CORRIDOR.alphabet))
    assert len(one.prompt_tokens) == 1 and two.prompt_tokens[-1:] == one.prompt_tokens
    assert len(two.prompt_tokens) == 3 + 2 * 2, "a token for each message, two for each answer"
    before = scored(made, "right", first)["logp"][0]
    assert before == pytest.approx(math.log(1 / 4)), "four allowed words, and not the end"
    row = Row((Episode.single(one.model_copy(update={"tokens": one.tokens[:1]}), first.allowed),))
    batch = likelihood_batch([row], 1, 1, np.random.default_rng(0), {})
    made.update(batch, 0, lambda out, part: {"nll": -out.logp_T.sum()})
    learnt = math.exp(4 * 0.75) / (math.exp(4 * 0.75) + 3 * math.exp(-4 * 0.25))
    for prompt in (first, later):
        assert scored(made, "right", prompt)["logp"][0] == pytest.approx(math.log(learnt))
    assert scored(made, "right", first.then("up", Message(role="user", content="?")))["logp"][0] == before


def test_an_answer_is_over_with_its_last_word_and_what_it_said_is_seen() -> None:
    made = LAST.sampler("scripted", Silent())
    (group,) = asyncio.run(made.sample([CORRIDOR.open().reset("1")], 40, How("k", 1.0, 9)))
    assert {(len(r.tokens), r.finish) for r in group.responses} == {(1, "stop")}
    assert {r.text for r in group.responses} == {"up", "down", "left", "right"}
    two = Scripted(words=("a", "b"), longest=2, sees="last", spread=1.0)
    table: Any = two._open("scripted")
    (state,) = table.render(WHY)
    assert table.raw(table.seen((state, 0))).tolist() != table.raw(table.seen((state, 1))).tolist()
    assert table.seen((7, 0, 2, state, 1)) == (state, 1)
    free = [
        r
        for g in asyncio.run(two.sampler("scripted", Silent()).sample([WHY], 40, How("k")))
        for r in g.responses
    ]
    assert {len(r.tokens) for r in free} == {2, 3} and {r.tokens[-1] for r in free} == {2}, (
        "the end, behind the words"
    )


def test_a_table_of_states_is_exported_and_is_another_model(tmp_path: Path) -> None:
    engine = LAST.model_copy(update={"p": {"# A <act>": (0.7, 0.1, 0.1, 0.1, *(0.0,) * 8)}})
    made = learner(Scripted.model_validate(engine.model_dump()))
    told: Any = made.export(tmp_path).path
    asked = Prompt.of("# A <act>").model_copy(update={"allowed": (0, 1, 2, 3)})
    again = learner(Scripted.model_validate(engine.model_dump()), told)
    assert scored(again, "up", asked)["logp"][0] == pytest.approx(math.log(0.7))
    with pytest.raises(PlanError, match="made with"):
        learner(Scripted(words=CORRIDOR.alphabet), told)
    assert (
        "sees"
        not in json.loads((Path(learner().export(tmp_path / "all").path) / "scripted.json").read_text())[
            "start"
        ]
    )
