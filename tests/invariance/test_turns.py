"""Episodes of several turns: what is masked, and that k turns are one sequence, for losses and for GAE.

Mutants: the world's words in the mask, a turn's end lost or learnt twice, one turn only in the loss, history
forwarded and not attended to, V after a turn taken as 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accord.catalog import build
from accord.engines.local import Local
from accord.engines.local.learner import LocalLearner
from accord.episodes import Episodes
from accord.maths.rollouts import Spoken
from accord.ports import Method, Task
from accord.records import Episode
from accord.records import Sequence as Masked
from accord.records.rows import Batch, Floats, Row, Window
from accord.sources import Surroundings
from accord.worker import Worker
from accord.worlds.guess import Guess

METHODS: dict[str, dict[str, Any]] = {
    "best_of_n": {"n": 4, "threshold": 0.5},
    "grpo": {"n": 4},
    "online_dpo": {"n": 4},
    "ppo": {"n": 4},
    "reinforce_pp": {"n": 4},
    "rloo": {"n": 4},
}


def learner(tiny: Path, method: Method) -> LocalLearner:
    settings: Any = {"adapter": "full", "precision": "float32", "decode": "float32", "device": "cpu"}
    made: Any = Local(**settings).learner(str(tiny), Task("run/stage", 0, method.needs()))
    return made


@pytest.fixture(scope="module")
def played(tiny: Path) -> Window:
    """Two games of four episodes each, of three turns; scores that differ, and a row that nobody scored."""
    made = learner(tiny, method("grpo"))
    source = Episodes(world=Guess(numbers=9), per_window=2, seeds=2, max_tokens=6)
    with Worker() as worker:
        opened = source.open(Surroundings("run/stage", 0, method("grpo").rows, worker))
        window = opened.window(0, made.sampler(), lambda groups: None)
    rows = [replace(r, columns={**r.columns, "score": float(i % 3)}) for i, r in enumerate(window.rows)]
    rows[5] = replace(rows[5], missing=True)
    assert {len(e.tokens) for r in rows for e in r.episodes} == {3}
    return replace(window, rows=tuple(rows))


def method(name: str) -> Any:
    return build("methods", {"name": name, **METHODS[name]})


def filled(window: Window, made: Method) -> Window:
    """With made-up columns of the form that measured ones have."""
    rng, spoken = np.random.default_rng(0), Spoken.of(window)
    columns = {
        name: tuple(-rng.exponential(size=n) for n in spoken.length_S) for name in made.needs().columns
    }
    return replace(window, measured=columns)


def spans(episode: Episode) -> list[bool]:
    """Which tokens the policy chose, worked out from the turns."""
    mask: list[bool] = []
    for read, said in zip(episode.prompt_tokens, episode.tokens, strict=True):
        mask += [False] * (len(read) - len(mask)) + [True] * len(said)
    return mask


@pytest.mark.parametrize("name", METHODS)
def test_only_what_the_policy_said_enters_the_loss(played: Window, name: str) -> None:
    made = method(name)
    batch, _ = made.batch(filled(played, made), {}, np.random.default_rng(0))
    episodes = {e.sequences()[0].tokens: e for r in played.rows for e in r.episodes}
    assert len(episodes) == 8
    assert batch.steps
    for sequence in batch.sequences:
        episode = episodes[sequence.tokens]
        assert list(sequence.answer) == spans(episode)
        read = [t for t, chosen in zip(sequence.tokens, sequence.answer, strict=True) if not chosen]
        assert len(read) > 150, "the game's words, in all three turns"
        told = bytes(t for t in read if t < 256).decode()
        assert told.count("left.") == 2, "what the world said after an answer"
        assert told.startswith("I think of a whole number")
    said = sum(len(turn) for s in batch.sequences for turn in episodes[s.tokens].tokens)
    assert int(batch.lengths_S().sum()) == said
    for column in batch.tokens.values():
        assert len(column) == said
    gone = played.rows[5].episodes[0].sequences()[0].tokens
    assert gone not in {s.tokens for s in batch.sequences}


def apart(batch: Batch, window: Window) -> Batch:
    """The same batch with every turn as a sequence of its own, behind its whole history."""
    episodes = {e.sequences()[0].tokens: e for r in window.rows for e in r.episodes}
    found: list[tuple[int, Masked]] = []
    for row, sequence in zip(batch.row_S, batch.sequences, strict=True):
        episode = episodes[sequence.tokens]
        for read, said in zip(episode.prompt_tokens, episode.tokens, strict=True):
            mask = (False,) * len(read) + (True,) * len(said)
            found.append((int(row), Masked((*read, *said), mask, None, episode.temperature)))
    row_S = np.array([row for row, _ in found], dtype=np.int64)
    return replace(batch, sequences=tuple(s for _, s in found), row_S=row_S)


@pytest.mark.parametrize("name", ["grpo", "ppo", "online_dpo"])
def test_k_turns_are_one_sequence(played: Window, tiny: Path, name: str) -> None:
    """The loss and every gradient, and what is measured before; in float32, to 1e-6."""
    made = method(name)
    one = learner(tiny, made)
    columns = one.measure(played.rows, made.needs())
    split = [
        Row(tuple(_turn(e, k) for e in row.episodes for k in range(len(e.tokens))), row.columns)
        for row in played.rows
    ]
    for column, turns in one.measure(split, made.needs()).items():
        whole: Floats = np.concatenate(columns[column])
        assert len(turns) == 3 * len(columns[column])
        assert np.abs(whole - np.concatenate(turns)).max() <= 1e-5, column
    batch, _ = made.batch(replace(played, measured=columns), {}, np.random.default_rng(0))
    parts = apart(batch, played)
    assert len(parts.sequences) == 3 * len(batch.sequences)
    if name == "online_dpo":
        # Its loss counts sequences of the first of two answers; these are three each now.
        parts = replace(parts, rows={**parts.rows, "first": 3 * parts.rows["first"]})
    loss, same = (one.evaluate(b, 0, made.loss) for b in (batch, parts))
    for term, weight in batch.weights.items():
        # Figures may count on which side of 0 something lies that is 0.
        assert same[term] == pytest.approx(loss[term], abs=1e-6) or not weight
    gradients, others = (one.gradients(b, 0, made.loss) for b in (batch, parts))
    largest = max(float(g.abs().max()) for g in gradients.values())
    assert largest > 1e-3, "else this shows nothing"
    for key, gradient in gradients.items():
        assert float((gradient - others[key]).abs().max()) <= 1e-6 * max(1.0, largest), key


def _turn(episode: Episode, k: int) -> Episode:
    return Episode(
        prompt=episode.prompt,
        responses=episode.responses[k : k + 1],
        prompt_tokens=episode.prompt_tokens[k : k + 1],
        tokens=episode.tokens[k : k + 1],
        temperature=episode.temperature,
    )


def test_the_tokens_of_the_world_get_no_gradient_of_their_own(played: Window, tiny: Path) -> None:
    """Pressure is told for what was said, token by token, and for nothing else."""
    made = method("grpo")
    one = learner(tiny, made)
    batch, _ = made.batch(filled(played, made), {}, np.random.default_rng(0))
    outcome = one.update(batch, 0, made.loss)
    assert outcome.applied
    assert outcome.pressure_T.size == sum(sum(s.answer) for s in batch.sequences)
    assert outcome.tokens == sum(len(s.tokens) for s in batch.sequences)
    assert (outcome.pressure_T != 0).all()


def episode(first: tuple[int, ...], second: tuple[int, ...]) -> Episode:
    """Answers of one and of two tokens; the second prompt may or may not go on from the first."""
    return Episode(prompt="p", responses=("a", "b"), prompt_tokens=(first, second), tokens=((5,), (6, 0)))


def whole() -> Episode:
    return episode((1, 2), (1, 2, 5, 3, 4))


def broken() -> Episode:
    return episode((1, 2), (1, 2, 9, 3, 4))


@pytest.mark.parametrize("made_of", [whole, broken], ids=["one sequence", "segments"])
def test_advantages_are_estimated_across_turns(made_of: Callable[[], Episode]) -> None:
    """V ½, ¼, 0 and a score of 1 at the end, γ 1, λ ½: δ = ¼ − ½, 0 − ¼, 1 − 0 = −¼, −¼, 1.

    So A = −¼ + ½·(−¼ + ½·1), −¼ + ½·1, 1 = −⅛, ¼, 1. If each turn were an end of its own, the first would be
    0 − ½ = −½.
    """
    made = build("methods", {"name": "ppo", "beta": 0.0, "lam": 0.5, "whiten": False})
    value = [np.array([0.5]), np.array([0.25, 0.0])]
    cut = [np.concatenate(value)] if made_of is whole else value
    assert len(made_of().sequences()) == len(cut)
    zeros = tuple(np.zeros(len(v)) for v in cut)
    window = Window(
        0, (Row((made_of(),), {"score": 1.0, "cut": 0.0}),), {"value": tuple(cut), "old_logp": zeros}
    )
    batch, _ = made.batch(window, {}, np.random.default_rng(0))  # type: ignore[attr-defined]
    assert batch.tokens["advantage"].tolist() == [-0.125, 0.25, 1.0]
    assert batch.tokens["return"].tolist() == [0.375, 0.5, 1.0]
