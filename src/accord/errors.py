"""The errors a user may see. Each says what, where, and what to do; none is printed with a traceback."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches

__all__ = [
    "AccordError",
    "Away",
    "ContractError",
    "PlanError",
    "Refused",
    "Unreadable",
    "Unsayable",
    "beneath",
    "nearest",
]


class AccordError(Exception):
    """Something a person can mend; the message says how."""


class PlanError(AccordError):
    """A plan that cannot run: the path in the plan, the value found, what is allowed, what to do."""

    def __init__(self, path: str, value: object, allowed: str, advice: str = "") -> None:
        self.path, self.value, self.allowed, self.advice = path, value, allowed, advice
        shown = "" if value is None else f" = {value!r}"
        lines = [f"{path}{shown}", f"  allowed: {allowed}"]
        super().__init__("\n".join([*lines, f"  {advice}"] if advice else lines))

    def under(self, prefix: str) -> PlanError:
        """The same error with its path seen from further up."""
        return PlanError(
            f"{prefix}.{self.path}" if self.path else prefix, self.value, self.allowed, self.advice
        )


class Unsayable(PlanError):
    """A text for which a model has no tokens, asked of it all the same."""


@contextmanager
def beneath(path: str) -> Generator[None]:
    """A PlanError raised inside is seen from further up: its path begins with ``path``."""
    try:
        yield
    except PlanError as error:
        raise error.under(path) from None


class ContractError(AccordError):
    """A part broke a promise of its port."""

    def __init__(self, part: str, promise: str, found: str) -> None:
        self.part, self.promise, self.found = part, promise, found
        super().__init__(f"{part} broke its contract: {promise}\n  found: {found}")


class Unreadable(AccordError):
    """A file that is not what it should be: the file, the line where there is one, what was expected."""

    def __init__(self, file: object, expected: str, found: str = "", line: int | None = None) -> None:
        self.file, self.expected, self.found, self.line = str(file), expected, found, line
        where = f"{file}:{line}" if line is not None else str(file)
        super().__init__(f"{where}: expected {expected}" + (f"\n  found: {found}" if found else ""))


class Refused(AccordError):
    """Accord will not do this as asked (exit code 2); the message says what is missing, and the remedy."""


class Away(Refused):
    """What is needed, such as a database, does not answer now; asked again later it may."""


def nearest(name: str, known: Iterable[str]) -> str:
    """ "did you mean …?" for the closest known name, or nothing.

    >>> nearest("steps_per", ["steps", "seed"])
    'did you mean "steps"?'
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'did you mean "{close[0]}"?' if close else ""
