"""Models of token policies: ids are places in the alphabet, turns go on, a window reads what it says it does.

Mutants: special tokens before the words, no end behind an earlier answer, ``ends`` left out of the stops, a
window that starts one place late or early, padding that is read as a word, all windows of a row alike.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from accord.engines.local import Local
from accord.engines.local.models import open_model
from accord.engines.local.words import Size, save_window, save_words
from accord.episodes import Episodes
from accord.errors import PlanError
from accord.methods.grpo import GRPO
from accord.methods.sft import SFT
from accord.ports import How, Needs, Task
from accord.progress import Silent
from accord.records import Message, Prompt
from accord.records.rows import Text, Window
from accord.sources import Surroundings
from accord.studies.lessons import shown, taught
from accord.worker import Worker
from accord.worlds.boat import STEPS, Boat

BOAT = Boat(turns=3)
ENGINE = Local(adapter="full", lr=1e-2, precision="float32", decode="float32", device="cpu")
LOGP = frozenset({"logp"})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    small = Size(layers=1, width=16, heads=2)
    return {
        "tiny": save_words(folder / "tiny", BOAT.alphabet, 3, ends=STEPS, size=small),
        "window": save_window(folder / "window", BOAT.alphabet, 10, 3, ends=STEPS, widths=(12, 8)),
        "bare": save_words(folder / "bare", BOAT.alphabet, 3, size=small),
    }


@pytest.mark.parametrize("kind", ["tiny", "window"])
def test_the_id_of_a_word_is_its_place(folders: dict[str, Path], kind: str) -> None:
    opened, prompt = open_model(folders[kind]), BOAT.open().reset("1")
    assert opened.render(prompt) == BOAT.words.encode(prompt.text)
    assert opened.words("left up") == (*BOAT.words.encode("left up"), opened.end)
    assert opened.end == len(BOAT.alphabet) + 1 and opened.render(Prompt.of("what")) == (opened.end - 1,)
    assert opened.stop == {opened.end, *BOAT.words.encode(" ".join(STEPS))}
    said = (("user", "A <act>"), ("assistant", "left up"), ("user", ". <act>"))
    talk = Prompt(messages=tuple(Message(role=role, content=text) for role, text in said))
    first, answer, then = (BOAT.words.encode(text) for _, text in said)
    assert opened.render(talk) == (*first, *answer, opened.end, *then), "an end behind an answer, no more"


@pytest.mark.parametrize("kind", ["tiny", "window"])
def test_a_world_is_played_and_learnt_by_its_allowed_words(folders: dict[str, Path], kind: str) -> None:
    method = GRPO(n=8, beta=0.0)
    learner = ENGINE.learner(str(folders[kind]), Task("cell", 0, method.needs()))
    with Worker() as worker:
        around = Surroundings("cell", 0, method.rows, worker)
        source = Episodes(world=BOAT, per_window=1, max_tokens=1, max_turns=3).open(around)
        window = source.window(0, learner.sampler(), lambda groups: None)
    for row in window.rows:
        episode = row.episodes[0]
        assert len(episode.sequences()) == 1, "each turn goes on from the tokens of the one before"
        assert all(len(said) == 1 and said[0] in (0, 1, 2, 3) for said in episode.tokens)
        assert row.columns["cut"] == 0 and row.columns["turns"] == 3
    _, outcomes = taught(learner, method, window, 0)
    assert outcomes[0].applied and outcomes[0].grad_norm > 0 and np.any(outcomes[0].pressure_T)


def test_without_ends_the_same_is_said_and_counts_as_cut(folders: dict[str, Path]) -> None:
    prompt = BOAT.open().reset("1")
    said = [
        asyncio.run(ENGINE.sampler(str(folders[k]), Silent()).sample([prompt], 6, How("k", 1.0, 1)))[
            0
        ].responses
        for k in ("tiny", "bare")
    ]
    assert [r.tokens for r in said[0]] == [r.tokens for r in said[1]]
    assert {r.finish for r in said[0]} == {"stop"} and {r.finish for r in said[1]} == {"length"}


def test_a_window_reads_the_last_words_and_no_others(folders: dict[str, Path]) -> None:
    """Against the formula written out; and two words that stand before the window change nothing."""
    sampler, model = ENGINE.sampler(str(folders["window"]), Silent()), open_model(folders["window"]).model
    weight: dict[str, Any] = {name: w.detach() for name, w in model.named_parameters()}

    def by_hand(tokens: list[int], token: int) -> float:
        pad = len(BOAT.alphabet) + 2
        window = ([pad] * 9 + tokens)[-10:]
        x = weight["embed_tokens.weight"][window].flatten()
        for k in range(2):
            x = torch.relu(weight[f"layers.{k}.weight"] @ x + weight[f"layers.{k}.bias"])
        return float(torch.log_softmax(weight["lm_head.weight"] @ x, 0)[token])

    def told(text: str, answer: str) -> list[float]:
        prompt = Prompt.of(text)
        text_ = Text(prompt, sampler.encode(prompt, answer))
        return list(asyncio.run(sampler.score([text_], LOGP))[0].columns["logp"])

    short, long = "A . # <act>", ". A . # . A . # . # A <act>"
    for text in (short, long):
        asked, said = list(BOAT.words.encode(text)), list(BOAT.words.encode("up left"))
        wanted = [by_hand(asked, said[0]), by_hand([*asked, said[0]], said[1])]
        wanted.append(by_hand([*asked, *said], len(BOAT.alphabet) + 1))
        assert told(text, "up left") == pytest.approx(wanted, abs=1e-5)
    assert told(long, "up")[0] == pytest.approx(told(long.replace(". A .", "# # .", 1), "up")[0], abs=1e-7)
    assert told(long, "up")[0] != told(long.replace("# A <act>", ". A <act>"), "up")[0]


@pytest.mark.parametrize("length", [3, 9])
def test_a_window_draws_what_it_scores_over_several_tokens(tmp_path: Path, length: int) -> None:
    """Also where it is wider than all that was said, so that padding is drawn from as it is scored."""
    bare = save_window(tmp_path / "bare", BOAT.alphabet, length, 1, widths=(8,))
    sampler = ENGINE.sampler(str(bare), Silent())
    prompts = [Prompt.of("A . # <act>"), Prompt.of("A <act>")]
    for group in asyncio.run(sampler.sample(prompts, 4, How("k", 1.0, 5))):
        scored = asyncio.run(sampler.score([Text(group.prompt, r) for r in group.responses], LOGP))
        for response, columns in zip(group.responses, scored, strict=True):
            assert columns.columns["logp"] == pytest.approx(np.array(response.logp), abs=1e-5)


def test_a_window_learns_and_goes_on_where_it_was_exported(folders: dict[str, Path], tmp_path: Path) -> None:
    prompts = [BOAT.words.asked((one,), STEPS) for one in (".", "#", "A")]
    learner = ENGINE.learner(str(folders["window"]), Task("cell", 0, Needs(), "data"))
    rows = shown(learner.sampler(), [(p, word) for p, word in zip(prompts, STEPS, strict=False)])
    _, outcomes = taught(learner, SFT(epochs=100, rows_per_step=3), Window(0, rows), 0)
    assert outcomes[0].terms["nll"] > 1 and outcomes[-1].terms["nll"] < 0.1
    after = learner.export(tmp_path / "after").path
    again = ENGINE.learner(after, Task("cell", 0, Needs(frozenset({"old_logp", "ref_logp"}))))
    found = again.measure(rows, Needs(frozenset({"old_logp", "ref_logp"})))
    mine = learner.measure(rows, Needs(frozenset({"old_logp"})))["old_logp"]
    assert np.concatenate(found["old_logp"]) == pytest.approx(np.concatenate(mine), abs=1e-6)
    assert np.concatenate(found["ref_logp"]) == pytest.approx(np.concatenate(mine), abs=1e-6)


@pytest.mark.parametrize("words", [(), ("a", "a"), ("a b",), ("<end>",)])
def test_words_that_cannot_be_told_apart_are_refused(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(PlanError, match="different words"):
        save_words(tmp_path, words)
    with pytest.raises(PlanError, match="words of the alphabet"):
        save_window(tmp_path, ("a",), 2, ends=("b",))
