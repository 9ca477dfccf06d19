"""The revival drill: a kept model is taken out of its archive, loaded afresh, and says again what it said.

At keeping the model answers a reference set, 64 prompts with 64 greedy tokens each; the answers, their
log-probabilities and the environment they were computed in are kept beside its weights. A drill writes the
model into an empty folder, every digest checked, has it loaded by whoever is handed in as ``Replays`` (a
fresh process without a network and without code of the model's own), and compares.

1. In the same environment all tokens are the same, and no log-probability differs by more than 1e-4.
2. In another one (engine, dtype, threads, versions) the probabilities of the same tokens differ by at most
   .01 on average; the first token that is chosen otherwise is shown, and is no fault.
3. A reward model answers nothing. It scores its reference answers: within 1e-4, or elsewhere within a
   hundredth of the spread of its scores (of 1, where they spread less).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray

from accord.errors import Unreadable
from accord.keep.archive import Archive
from accord.keep.entries import REFERENCE, Held
from accord.keep.sifting import OURS
from accord.ports import How, Sampler
from accord.progress import Progress, Silent
from accord.records import JSON, Decision, Prompt, Response, digest, finite, read_record
from accord.records.rows import Text

__all__ = [
    "LARGEST",
    "MEAN",
    "PROMPTS",
    "RULE",
    "TOKENS",
    "Asked",
    "Drill",
    "Reference",
    "Replayed",
    "Replays",
    "answered",
    "compared",
    "drill",
    "kept_reference",
]

PROMPTS, TOKENS = 64, 64
LARGEST, MEAN = 1e-4, 0.01
RULE = "drill"
_GREEDY = 1e-5  # temperature: what is more probable by a hundredth of a percent is taken
_KEY = "reference"
_FORM = 1
_SILENT = Silent()

Verdict = Literal["revived", "drifted", "failed"]


class Asked(NamedTuple):
    """What a drill asks: prompts to answer anew, and earlier answers to them, which are read again."""

    prompts: tuple[Prompt, ...]
    tokens: int = TOKENS
    read: tuple[Response, ...] = ()


class Replayed(NamedTuple):
    """What a model did: greedy answers, and for each of those read one number per token (a reward model: per
    head); ``environment`` is what has to be equal for these to be equal."""

    environment: Mapping[str, str]
    said: tuple[Response, ...]
    read: tuple[tuple[float, ...], ...]

    def json(self) -> dict[str, JSON]:
        """All of it, as ``of`` reads it back."""
        said = [cast(JSON, one.body()) for one in self.said]
        return {"environment": dict(self.environment), "said": said, "read": [list(one) for one in self.read]}

    @classmethod
    def of(cls, tree: Mapping[str, object]) -> Self:
        """What ``json`` wrote. KeyError, TypeError or ValueError where it did not."""
        environment = cast("dict[str, str]", tree["environment"])
        read = tuple(tuple(map(float, one)) for one in cast("list[list[float]]", tree["read"]))
        return cls(environment, _responses(tree["said"]), read)


class Replays(Protocol):
    """Loads the model of a folder in a fresh process, without a network and without code of the model's own,
    and asks it. A text says why it could not be loaded or did not answer."""

    def __call__(self, folder: Path, asked: Asked, progress: Progress, /) -> Replayed | str: ...


class Reference(NamedTuple):
    """What a model said when it was kept. ``numbers``: log-probability of each token of its answers at
    temperature 1; of a reward model the score by each head (``column`` is ``score``)."""

    environment: Mapping[str, str]
    prompts: tuple[Prompt, ...]
    tokens: int
    column: Literal["logp", "score"]
    answers: tuple[Response, ...]
    numbers: tuple[tuple[float, ...], ...]

    @classmethod
    def of(cls, asked: Asked, found: Replayed) -> Self:
        """The reference that a first replay makes."""
        column = "score" if any(one.finish == "data" for one in found.said) else "logp"
        return cls(found.environment, asked.prompts, asked.tokens, column, found.said, found.read)

    @property
    def asked(self) -> Asked:
        """What a drill asks again."""
        return Asked(self.prompts, self.tokens, self.answers)

    def encode(self) -> bytes:
        """The file that is kept."""
        body: dict[str, JSON] = {
            "form": _FORM,
            "environment": dict(self.environment),
            "tokens": self.tokens,
            "column": self.column,
            "prompts": [cast(JSON, one.body()) for one in self.prompts],
            "answers": [cast(JSON, one.body()) for one in self.answers],
            "numbers": [list(one) for one in self.numbers],
        }
        return (json.dumps(finite(body), ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")

    @classmethod
    def read(cls, data: bytes, where: object) -> Self:
        """The reference in these bytes. Unreadable names ``where`` when it is none."""
        try:
            tree = cast("dict[str, object]", json.loads(data))
            if tree["form"] != _FORM or tree["column"] not in ("logp", "score"):
                raise ValueError(f"form {tree['form']!r}, column {tree['column']!r}")
            bodies = cast("list[dict[str, object]]", tree["prompts"])
            prompts = tuple(cast(Prompt, read_record(Prompt.kind, one)) for one in bodies)
            numbers = tuple(tuple(map(float, one)) for one in cast("list[list[float]]", tree["numbers"]))
            answers = _responses(tree["answers"])
            if not prompts or not len(prompts) == len(answers) == len(numbers):
                raise ValueError(f"{len(prompts)} prompts, {len(answers)} answers, {len(numbers)} numbers")
            return cls(
                cast("dict[str, str]", tree["environment"]),
                prompts,
                int(cast(int, tree["tokens"])),
                "logp" if tree["column"] == "logp" else "score",
                answers,
                numbers,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise Unreadable(where, "a reference set that accord keep wrote", str(error)[:200]) from None

    @property
    def digest(self) -> str:
        """SHA-256 of what was asked and what came of it; the environment is not part of it."""
        answers = [list(one.tokens) for one in self.answers]
        numbers = [[float(x) for x in one] for one in self.numbers]
        return digest({"prompts": [one.id for one in self.prompts], "answers": answers, "numbers": numbers})


class Drill(NamedTuple):
    """What a drill came to, and the digests it rests on. ``largest``, ``mean``: how far log-probabilities
    (scores) and probabilities moved, None where nothing could be compared. ``fresh``: a reference that this
    drill had to make first."""

    verdict: Verdict
    says: tuple[str, ...]
    same: bool = False
    largest: float | None = None
    mean: float | None = None
    rests_on: tuple[str, ...] = ()
    fresh: Reference | None = None

    def decision(self, entry: str, number: int) -> Decision:
        """The Record of the ``number``-th drill of an entry."""
        go_on = self.verdict == "revived"
        return Decision(
            run=entry,
            step=number,
            action="continue" if go_on else "pause",
            rule=RULE,
            reason=f"{self.verdict}: {'; '.join(self.says)}",
        )


async def answered(sampler: Sampler, asked: Asked, environment: Mapping[str, str]) -> Replayed:
    """What a loaded model does with what is asked; without earlier answers its own are read."""
    if "sample" in sampler.can:
        groups = await sampler.sample(asked.prompts, 1, How(_KEY, _GREEDY, asked.tokens))
        said = tuple(one.responses[0] for one in groups)
        want = frozenset({"logp", "rank"})  # with rank, so that nothing is taken from a cache on disk
    else:
        said = tuple(sampler.encode(prompt, prompt.text) for prompt in asked.prompts)
        want = frozenset({"score"})
    # At temperature 1: at that of the greedy draw every token has probability 1.
    read = [one.model_copy(update={"temperature": 1.0}) for one in asked.read or said]
    texts = [Text(prompt, one) for prompt, one in zip(asked.prompts, read, strict=True)]
    column = "logp" if "logp" in want else "score"
    scored = await sampler.score(texts, want)
    numbers = tuple(tuple(one.columns[column].tolist()) for one in scored)
    return Replayed(environment, said, numbers)


def compared(reference: Reference, found: Replayed) -> Drill:
    """Whether a model said what it said then."""
    same = dict(reference.environment) == dict(found.environment)
    says: list[str] = ["in the same environment"] if same else [_moved(reference, found)]
    if unfit := _unfit(reference, found):
        return Drill(unfit[0], (*says, unfit[1]), same)
    then, now = _joined(reference.numbers), _joined(found.read)
    largest = float(np.abs(now - then).max(initial=0.0))
    if reference.column == "score":
        mean, limit = float(np.abs(now - then).mean()), MEAN * max(1.0, float(then.std()))
    else:
        mean, limit = float(np.abs(np.exp(now) - np.exp(then)).mean()), MEAN
    other = _first_difference(reference, found)
    if same:
        good = largest <= LARGEST and not other
        what = "scores" if reference.column == "score" else "log-probabilities"
        says.append(f"largest difference of {now.size:,} {what} {largest:.2g}, allowed {LARGEST:g}")
    else:
        good = mean <= limit
        what = "scores" if reference.column == "score" else "probabilities of tokens"
        says.append(f"{now.size:,} {what} differ by {mean:.2g} on average, allowed {limit:g}")
    says.append(other or f"all {sum(len(one.tokens) for one in found.said):,} tokens are the same")
    return Drill("revived" if good else "drifted", tuple(says), same, largest, mean)


def kept_reference(archive: Archive, held: Held) -> Reference | None:
    """The reference of a kept model: beside its weights, or in its entry where it came later."""
    family, version = held.home.family, held.home.version
    beside = f"{OURS}/{REFERENCE}"
    if beside in archive.state(family, version):
        return Reference.read(archive.read(family, beside, version), f"{family}/{beside}")
    if REFERENCE in held.names:
        return Reference.read(archive.read(held.entry, REFERENCE), f"{held.entry}/{REFERENCE}")
    return None


def drill(
    archive: Archive, held: Held, replays: Replays, first: Asked, progress: Progress = _SILENT
) -> Drill:
    """Take the model out, load it afresh, compare. ``first``: what is asked where no reference stands yet."""
    with tempfile.TemporaryDirectory(prefix="accord-drill-") as folder:
        to = Path(folder) / "model"
        wrong = next((str(one) for one in held.chain.faults if one.kind == "contradicted"), "")
        if wrong:
            return Drill("failed", (f"what was signed over it does not hold: {wrong}",))
        try:
            reference = kept_reference(archive, held)
            archive.extract(held.home.family, to, held.home.version)  # every digest is checked
        except Unreadable as error:
            return Drill("failed", (f"it did not come out of the archive as it was kept: {error}",))
        rests_on = (held.model.oms_root,)
        fresh: Reference | None = None
        if reference is None:
            made = replays(to, first, progress)
            if isinstance(made, str):
                return Drill("failed", (f"it could not be loaded: {made}",), rests_on=rests_on)
            fresh = reference = Reference.of(first, made)
        again = replays(to, reference.asked, progress)
    rests_on = (*rests_on, reference.digest)
    if isinstance(again, str):
        return Drill("failed", (f"it could not be loaded: {again}",), rests_on=rests_on)
    done = compared(reference, again)._replace(rests_on=rests_on, fresh=fresh)
    if fresh is None:
        return done
    why = "its reference set was made in this drill, so only two loads of today were compared"
    return done._replace(says=(*done.says, why))


def _responses(value: object) -> tuple[Response, ...]:
    bodies = cast("Sequence[Mapping[str, object]]", value)
    return tuple(cast(Response, read_record(Response.kind, one)) for one in bodies)


def _joined(numbers: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    return np.concatenate([np.array(one, dtype=np.float64) for one in numbers])


def _unfit(reference: Reference, found: Replayed) -> tuple[Verdict, str] | None:
    """Why the two cannot be compared, where they cannot."""
    if len(found.said) != len(reference.answers):
        return "failed", f"it gave {len(found.said)} answers to {len(reference.answers)} prompts"
    if [len(one) for one in found.read] != [len(one) for one in reference.numbers]:
        return "drifted", "it reads its reference answers as other tokens: another tokenizer"
    for which, numbers in (("reference", _joined(reference.numbers)), ("present", _joined(found.read))):
        if not numbers.size:
            return "failed", "its reference answers have no token, so nothing can be compared"
        if not np.isfinite(numbers).all():
            return "failed", f"some of its {which} {reference.column}s are not finite numbers"
    return None


def _moved(reference: Reference, found: Replayed) -> str:
    then, now = reference.environment, found.environment
    changed = [name for name in sorted(then.keys() | now.keys()) if then.get(name) != now.get(name)]
    told = [f"{name} {then.get(name, 'unknown')} → {now.get(name, 'unknown')}" for name in changed]
    return f"in another environment ({', '.join(told)})"


def _first_difference(reference: Reference, found: Replayed) -> str:
    """The first token that is chosen otherwise, or the first prompt that is written otherwise; or nothing."""
    pairs = zip(reference.answers, found.said, strict=False)
    for number, (then, now) in enumerate(pairs, start=1):
        if then.prompt_tokens != now.prompt_tokens:
            return f"prompt {number} is written otherwise: another chat template or tokenizer"
        if then.tokens != now.tokens:
            both = zip(then.tokens, now.tokens, strict=False)
            end = min(len(then.tokens), len(now.tokens))
            place = next((i for i, (a, b) in enumerate(both) if a != b), end)
            return f"first other token: {place + 1} of the answer to prompt {number}"
    return ""
