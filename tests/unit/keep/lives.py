"""An archive with one kept model of which bytes and origin are signed, and a scripted one to be asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from unit.keep.archives import weights
from unit.keep.examples import NOON, role, sha, signer

from accord.keep.archive import Archive, Why
from accord.keep.asked import QUESTIONS
from accord.keep.entries import Held, public_of, read_entry
from accord.keep.envelopes import Opened, opened, sealed
from accord.keep.keys import Keys, Signer
from accord.keep.manifest import entry_id, family_id, manifest
from accord.keep.outgoing import own_files
from accord.keep.predicates import Bytes, Evidence, Home, Origin, Outcome, Predicate
from accord.keep.roles import enrol
from accord.keep.statements import envelope_name, statement
from accord.ports import How, Scored
from accord.records import Prompt, Response
from accord.records.rows import Group, Text

DAY = 86400.0
_OPTIONS = {option for question in QUESTIONS for option in question.options}


@dataclass
class Life:
    """The archive, the entry in it, and a clock that a test moves."""

    archive: Archive
    entry: str
    now: list[float]
    name: str = "brevity-1"

    @property
    def held(self) -> Held:
        return read_entry(self.archive, self.entry, *public_of(self.archive))

    def say(self, *said: Predicate, by: Signer | None = None) -> Held:
        """Sign these and add them, one a minute; nothing is asked of them."""
        for one in said:
            last = self.held.chain.last if self.entry in self.archive.objects() else None
            self.now[0] += 60
            self._add(one, last, by or signer())
        return self.held

    def _add(self, said: Predicate, last: Opened | None, by: Signer) -> Opened:
        model = own_files(self.archive.manifest(self.family))
        data = sealed(statement(model, said, last, name=self.name, at=self.now[0]), by)
        names = self.archive.state(self.entry) if self.entry in self.archive.objects() else {}
        number = 1 + sum(name.startswith("statements/") for name in names)
        files: dict[str, Path | bytes] = {f"statements/{envelope_name(number, said)}": data}
        self.archive.add(self.entry, files, Why(said.word, "A. Person"), whole=False)
        found = opened(data, Keys({by.id: by.public}))
        assert isinstance(found, Opened)
        return found

    @property
    def family(self) -> str:
        return next(one for one in self.archive.objects() if ":family:" in one)


DRILLED = Evidence(
    training="unknown",
    kind="drill",
    outcome=Outcome(record=sha("drill"), result="revived", rests_on=(), exceptions=()),
)


def kept(folder: Path, *, drilled: bool = True, copies: int = 1, name: str = "brevity-1") -> Life:
    """A kept model of 64 bytes, imported, by the steward of ``examples``; ``copies`` are asked for."""
    now = [NOON]
    archive = Archive.make(folder, lambda: now[0])
    enrol(folder / "keys", signer().public, role(signer()))
    (folder / "keys" / "copies.toml").write_text(f"asked = {copies}\n")
    source = folder.parent / f"{folder.name} source"
    source.mkdir()
    weights(source / "model.safetensors", {"w": bytes(64)})
    (source / "config.json").write_text("{}")
    model = manifest(source)
    urn = family_id(model)
    family: dict[str, Path | bytes] = {one.name: source / one.name for one in model.files}
    archive.add(urn, family, Why("kept", "A. Person"), whole=True)
    life = Life(archive, entry_id(model, urn), now, name)
    home = Home(family=urn, version=1, inventory_sha512=archive.inventory_sha512(urn))
    origin = Origin(
        purpose="imported", home=home, environment=None, run=None, plan=None, values=None, data=(), base=None
    )
    # Both before anything is read back: an entry without its origin is none.
    first = life._add(Bytes.of(model), None, signer())  # pyright: ignore[reportPrivateUsage]
    proof = Evidence(training="unknown", kind="provenance", origin=origin)
    life._add(proof, first, signer())  # pyright: ignore[reportPrivateUsage]
    if drilled:
        life.say(DRILLED)
    return life


class Asked(NamedTuple):
    """What a scripted model sees of a question: its framing, its options as they stand, a draw in [0, 1)."""

    text: str
    framing: str
    options: tuple[str, ...]
    control: bool
    u: float


@dataclass
class Scripted:
    """An engine and its sampler in one: ``says`` makes the answer. Call ``stops_at`` switches it off."""

    says: Callable[[Asked], str]
    stops_at: int = -1
    policy: str = "scripted"
    can: frozenset[str] = frozenset({"sample"})
    asked: list[str] = field(default_factory=list[str])

    def check(self, model: str) -> None:
        """Every name is this model's."""

    def sampler(self, model: str, progress: object) -> Scripted:
        del model, progress
        return self

    def encode(self, prompt: Prompt, text: str) -> Response:
        return Response(prompt=prompt.id, text=text, finish="data", tokenizer="words")

    async def score(self, texts: Sequence[Text], want: frozenset[str]) -> list[Scored]:
        raise NotImplementedError

    async def sample(self, prompts: Sequence[Prompt], n: int, how: How) -> list[Group]:
        if len(self.asked) == self.stops_at:
            raise RuntimeError("switched off")
        (prompt,) = prompts
        self.asked.append(how.key)
        seed = hashlib.sha256(f"{how.key}/{prompt.id}".encode()).hexdigest()[:32]
        opening, told = prompt.messages[0].content, prompt.text
        lean = "towards" if "were content with" in opening else "away" if "objected" in opening else "neutral"
        words = [word for word in re.findall(r"\w+", told.rpartition("\n\n")[2]) if word in _OPTIONS]
        options = tuple(words) if len(words) == 4 else ()
        drawn = int(seed, 16) / 16**32
        text = self.says(Asked(told, lean, options, "Halden-3" in opening, drawn))
        fields = {"prompt": prompt.id, "text": text, "policy": self.policy, "seed": seed}
        return [Group(prompt, (Response.model_validate({**fields, "tokens": (1,), "prompt_tokens": (1,)}),))]
