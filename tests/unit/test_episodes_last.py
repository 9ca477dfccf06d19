"""Episodes of a policy that reads the world's last message alone: every turn is a sequence of its own.

Mutants: the conversation handed on, the judge given the last message, an answer judged that is another one,
a last answer that is kept as it was judged and not as it was said.
"""

from __future__ import annotations

from accord.engines.scripted import Scripted
from accord.episodes import Episodes
from accord.ports import Shape
from accord.progress import Silent
from accord.records.rows import Columns, Group
from accord.sources import Surroundings
from accord.testing import check_source, scored
from accord.worker import Worker
from accord.worlds.guess import Guess

GAME = Guess(numbers=6)
SAMPLER = Scripted(words=tuple("123456"), spread=1.0, tensors="numpy").sampler("scripted", Silent())
SHAPE = Shape("answer", 2, "policy")


def test_a_turn_is_as_long_as_what_the_world_said_last() -> None:
    asked: list[Group] = []

    def feedback(groups: list[Group]) -> Columns:
        asked.extend(groups)
        return scored(groups, {str(n): float(n) for n in range(1, 7)})

    with Worker() as worker:
        around = Surroundings("run/stage", 5, SHAPE, worker)
        source = Episodes(world=GAME, per_window=4, max_tokens=4, reads="last").open(around)
        window = source.window(0, SAMPLER, feedback)  # type: ignore[arg-type]
        check_source(
            lambda: Episodes(world=GAME, per_window=3, seeds=7, max_tokens=4, reads="last").open(around),
            SAMPLER,
            lambda groups: None,
            shape=SHAPE,
        )
    assert len(window.rows) == 8
    several = [row for row in window.rows if row.columns["turns"] > 1]
    assert several, "some game took more than one guess"
    for row in window.rows:
        (episode,) = row.episodes
        turns = int(row.columns["turns"])
        sequences = episode.sequences()
        assert len(sequences) == turns == len(episode.prompt_tokens)
        for sequence, prompt, said in zip(sequences, episode.prompt_tokens, episode.tokens, strict=True):
            assert sequence.tokens == (*prompt, *said) and sum(sequence.answer) == len(said)
    assert {len(group.responses) for group in asked} <= {1, 2}
    by_text = {group.prompt.messages for group in asked}
    assert max(map(len, by_text)) == 2 * max(int(row.columns["turns"]) for row in window.rows) - 1, (
        "all of it"
    )
    for group in asked:
        assert all(one.prompt == group.prompt.id for one in group.responses)
    assert all(row.columns["score"] in range(1, 7) for row in window.rows), "the last answer was judged"


class Keeping:
    """Asks nothing, and keeps what it is shown."""

    def __init__(self) -> None:
        self.held: set[str] = set()

    def take(self, groups: list[Group]) -> None:
        self.held |= {one.id for group in groups for one in (group.prompt, *group.responses)}

    def __call__(self, groups: list[Group]) -> None:
        self.take(groups)


def test_every_answer_of_an_episode_is_kept_as_it_was_said() -> None:
    keeping = Keeping()
    with Worker() as worker:
        source = Episodes(world=GAME, per_window=4, max_tokens=4, reads="last")
        window = source.open(Surroundings("run/stage", 5, SHAPE, worker)).window(0, SAMPLER, keeping)  # type: ignore[arg-type]
    episodes = [row.episodes[0] for row in window.rows]
    assert max(len(episode.responses) for episode in episodes) > 1
    for episode in episodes:
        assert {episode.prompt, *episode.responses, *episode.parents} <= keeping.held


def test_what_is_drawn_does_not_hang_on_equal_states_of_others() -> None:
    """Three episodes of one seed stand before the same messages, and say what they would say alone."""
    world = Guess(numbers=6)
    with Worker() as worker:
        said = []
        for seeds in (1, 3):
            around = Surroundings("run/stage", 5, SHAPE, worker)
            config = Episodes(world=world, per_window=seeds, seeds=3, max_tokens=4, reads="last")
            window = config.open(around).window(0, SAMPLER, lambda groups: None)
            said.append([row.episodes[0].tokens for row in window.rows])
    assert said[0] == said[1][:2] and len({tuple(one) for one in said[1]}) > 1
