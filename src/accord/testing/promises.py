"""``promised``: one promise of a port, kept or named in a ContractError."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from accord.errors import ContractError

__all__ = ["promised", "refuses"]

Refusal = TypeVar("Refusal", bound=Exception)


def promised(part: object, promise: str, kept: bool, found: object = "the opposite") -> None:
    """ContractError, naming the part's class, unless the promise was kept."""
    if not kept:
        raise ContractError(_called(part), promise, str(found))


def refuses(part: object, promise: str, wanted: type[Refusal], act: Callable[[], object]) -> None:
    """The promise that ``act`` raises ``wanted``. Another exception passes through: it says more itself."""
    try:
        result = act()
    except wanted:
        return
    raise ContractError(_called(part), promise, f"no {wanted.__name__}, but {result!r:.120}")


def _called(part: object) -> str:
    return part.__name__ if isinstance(part, type) else type(part).__name__
