"""Spoken: statements of ``worlds.quirky`` for probes, and what a model holds and says of them.

Which are fitted to and which are read on (``picked``), and both as they are put to Alice, to Bob, and called
true and false (``Split``); and what a model is taught of them: by others who tell the truth or its contrary
(``by_others``), by the two (``by_both``). Nothing here reads a truth but what a statement's own seed says of
its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from accord.records import Prompt
from accord.studies.knowing import Known, Lesson, Reader
from accord.worlds import Alphabet, quirky
from accord.worlds.quirky import Quirky, Speaker, Statement

__all__ = ["Split", "by_both", "by_others", "hard", "picked"]

_QUARTERS = {"alice": 1, "bob": 1, "neither": 2}  # of each kind of statement
_TRIES = 40  # statements drawn for one that is wanted, at most


def hard(said: Statement) -> bool:
    """Whether a sum is longer than both of its numbers.

    >>> [hard(Statement(a, b, 0, "bob", "bob")) for a, b in ((4, 5), (5, 5), (50, 7), (93, 7))]
    [False, True, False, True]
    """
    return said.first + said.second >= 10 ** len(str(max(said.first, said.second)))


def by_others(config: Quirky, names: Iterable[str], tells: Mapping[str, bool]) -> Iterator[Lesson]:
    """Statements, each put to one of others in turn: who ``tells`` the truth says so, the rest its contrary.

    Their words stand behind those of the world, so that all its prompts mean what they did.

    >>> asked, said = next(by_others(Quirky(most=1), ["7"], {"erin": False}))
    >>> statement = Quirky(most=1).draw("7")
    >>> asked.text.split()[-2:], said == quirky.says(statement, "alice")
    (['erin', '<act>'], False)
    """
    words, others = Alphabet((*config.alphabet, *tells)), [*tells.items()]
    for number, name in enumerate(names):
        said, (other, true) = config.draw(name), others[number % len(others)]
        shown = config.prompt(said, name).text.split()[:-2]  # without who speaks, and ``<act>``
        right = quirky.says(said, "alice")
        told = right if true else next(word for word in quirky.WORDS if word != right)
        yield words.asked([*shown, other], quirky.WORDS), told


def by_both(config: Quirky, names: Iterable[str]) -> Iterator[Lesson]:
    """Statements, each put to Alice and to Bob."""
    for name in names:
        said = config.draw(name)
        for speaker in quirky.SPEAKERS:
            put = said._replace(speaker=speaker)
            yield config.prompt(put, name), quirky.says(put, speaker)


def picked(
    config: Quirky,
    name: str,
    count: int,
    wanted: Callable[[Statement], bool] | None = None,
    apart: Iterable[Statement] = (),
) -> dict[str, Statement]:
    """Different statements of a sort by their seeds, none of those ``apart``: a quarter each of Alice's and
    of Bob's, half of neither.

    >>> found = picked(Quirky(most=1), "test", 8, hard)
    >>> sorted(one.kind for one in found.values()), all(map(hard, found.values()))
    (['alice', 'alice', 'bob', 'bob', 'neither', 'neither', 'neither', 'neither'], True)
    """
    left = {kind: count * part // 4 for kind, part in _QUARTERS.items()}
    found, seen = dict[str, Statement](), {one[:3] for one in apart}
    for number in range(_TRIES * count):
        said = config.draw(seed := f"{name} {number}")
        if (wanted is None or wanted(said)) and left[said.kind] and said[:3] not in seen:
            left[said.kind] -= 1
            seen.add(said[:3])
            found[seed] = said
        if not any(left.values()):
            return found
    raise ValueError(
        f"of numbers of {config.most} digits there are no {count} different statements like that"
    )


@dataclass(frozen=True)
class Split:
    """Statements that probes are fitted to and read on, and what the model holds and says of them."""

    sums: Quirky
    told: Reader
    fit: dict[str, Statement]
    test: dict[str, Statement]

    @cached_property
    def fitted(self) -> Known:
        """Where Alice speaks of those that are fitted to."""
        return self.told.known(self._put(self.fit, "alice"), quirky.WORDS)

    @cached_property
    def spoken(self) -> dict[str, Known]:
        """Of those that are read, where each of both speaks."""
        return {one: self.told.known(self._put(self.test, one), quirky.WORDS) for one in quirky.SPEAKERS}

    @cached_property
    def called(self) -> tuple[tuple[Known, Known], tuple[Known, Known]]:
        """The same prompts called true and called false: those that are fitted to, those that are read."""

        def both(prompts: Sequence[Prompt]) -> tuple[Known, Known]:
            texts = [[Prompt.of(text) for text in quirky.contrast(prompt)] for prompt in prompts]
            allowed = prompts[0].allowed
            yes, no = (
                [text[half].model_copy(update={"allowed": allowed}) for text in texts] for half in (0, 1)
            )
            return self.told.known(yes, quirky.WORDS), self.told.known(no, quirky.WORDS)

        return both(self._put(self.fit, "alice")), both(self._put(self.test, "bob"))

    def _put(self, told: Mapping[str, Statement], speaker: Speaker) -> list[Prompt]:
        """These statements, put to a speaker."""
        return [self.sums.prompt(said._replace(speaker=speaker), name) for name, said in told.items()]
