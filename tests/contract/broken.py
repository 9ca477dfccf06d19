"""What the tests of broken parts share: an engine, prompts, and the promise that a check says was broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accord.engines.scripted import Scripted
from accord.errors import ContractError
from accord.records import Prompt

__all__ = ["ENGINE", "PROMPTS", "SEEN", "broken"]

ENGINE = Scripted(words=tuple("abcdef"), longest=6, spread=1.0, tensors="numpy")
PROMPTS = (Prompt.of("one"), Prompt.of("two"), Prompt.of("three"))
SEEN: list[int] = []  # what parts remember that should remember nothing


def broken(act: Callable[[], object]) -> str:
    """The promise in the ContractError that ``act`` raises."""
    with pytest.raises(ContractError) as error:
        act()
    return error.value.promise
