"""A kept model goes out: its files as they were taken in, a card, and a signature over all of it.

What the archive puts beside a model (``accord/``) stays behind. A card that the model came with moves to
``README.upstream.md``; every other file leaves byte for byte, under its own name.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, cast
from uuid import uuid4

from accord.errors import Refused, Unreadable
from accord.keep.cards import Hand, Page, Upstream, card, provenance, read_upstream
from accord.keep.envelopes import sealed
from accord.keep.keys import archive_above
from accord.keep.manifest import Digests, Manifest
from accord.keep.predicates import Bound, Bytes, Evidence
from accord.keep.sifting import OURS, SIGNATURE
from accord.keep.statements import Chain, statement
from accord.records import Decision
from accord.release import RULE, verdict_of
from accord.stores.files import disk, make_folder, promote

__all__ = [
    "CARD",
    "About",
    "Exported",
    "Source",
    "export_model",
    "hard_constraints",
    "own_files",
]

CARD = "README.md"
_PLAN, _VALUES = f"{OURS}/plan.toml", f"{OURS}/values.toml"

Source = Callable[[Path], Manifest]
"""Writes a model's files, and what the archive keeps beside them, into a folder that is not there yet;
``partial(archive.extract, family)`` is one."""


class About(NamedTuple):
    """What is known of the model: its name, its checked statements, and the Decisions that they rest on."""

    name: str
    chain: Chain
    decisions: tuple[Decision, ...] = ()


class Exported(NamedTuple):
    """What was written: the folder, its files with the card and without the signature, the earlier card's
    new name or "", and who signed (None: nobody)."""

    folder: Path
    manifest: Manifest
    upstream: str
    hand: Hand | None


def export_model(source: Source, to: Path, about: About, hand: Hand | None = None) -> Exported:
    """Write the model to the new folder ``to``, whole or not at all.

    Refused: ``to`` stands already, or lies in an archive, where only what is kept may lie; a statement is
    contradicted, or is about other files; a hard constraint has no release test that it passed.
    """
    if to.exists() or to.is_symlink():
        raise Refused(f"{to}: stands already\n  remove it, or name another folder")
    if archive := archive_above(to):
        raise Refused(f"{to}: lies in the archive {archive}\n  name a folder outside of it")
    make_folder(to.parent)
    work = to.parent / f".{uuid4().hex}.aside"
    try:
        with disk(to):
            own = own_files(source(work))
            _check_statements(own, about)
            _check_known(work, about)
            _check_released(hard_constraints(work), about)
            done = _furnished(work, own, about, hand)
        promote(work, to)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return done._replace(folder=to)


def hard_constraints(folder: Path) -> tuple[str, ...]:
    """The side constraints of the model in this folder, by id: hard principles of its values, and the costs
    that a stage of its plan allowed none of."""
    found: set[str] = set()
    principles = _toml(folder / _VALUES).get("principle", [])
    for one in cast("list[object]", principles) if isinstance(principles, list) else []:
        table = cast("dict[str, object]", one) if isinstance(one, dict) else {}
        if table.get("hard") is True:
            found.add(str(table.get("id")))
    for table in _tables(_toml(folder / _PLAN)):
        limits = table.get("limits")
        if (table.get("name"), table.get("mode")) == ("constrained", "hard") and isinstance(limits, dict):
            found |= {str(cost) for cost in cast("dict[str, object]", limits)}
    return tuple(sorted(found))


def own_files(found: Manifest) -> Manifest:
    """The model's own files, which statements are about: what the archive put beside them is left out."""
    return Manifest(tuple(one for one in found.files if not one.name.startswith(f"{OURS}/")))


def _check_statements(own: Manifest, about: About) -> None:
    """A card may not rest on statements that something contradicts, or that are about other files."""
    wrong = [fault for fault in about.chain.faults if fault.kind == "contradicted"]
    if wrong:
        raise Refused(f"{about.name}: {wrong[0]}\n  see what is damaged: accord verify")
    for signed in about.chain.statements:
        whole = signed.predicate.manifest_sha512 if isinstance(signed.predicate, Bound) else own.sha512
        if (signed.opened.statement.root, whole) != (own.oms_root, own.sha512):
            raise Refused(
                f"{about.name}: {signed.where} is about other files than these\n"
                "  export them with the statements of their own entry"
            )


def _check_known(work: Path, about: About) -> None:
    """What was signed as the model's plan and values has to be there, or its constraints are not known."""
    origin = provenance(about.chain)
    if origin is None:
        return
    for name, wanted in ((_PLAN, origin.plan), (_VALUES, origin.values)):
        if wanted and not (work / name).is_file():
            raise Refused(
                f"{about.name}: {name} is not beside the model, so its hard constraints are not known\n"
                "  export it from its archive, which keeps both"
            )


def _check_released(hard: Iterable[str], about: About) -> None:
    """Each hard constraint needs a release test that was passed, and a signed statement that names it."""
    decisions = {one.id: one for one in about.decisions if one.rule == RULE}
    last: dict[str, tuple[Decision, bool]] = {}
    for signed in about.chain.statements:
        said = signed.predicate
        if isinstance(said, Evidence) and said.kind == "release" and said.outcome:
            decision = decisions.get(said.outcome.record)
            if decision is not None:
                passed = said.outcome.result == "passed" and verdict_of(decision) == "pass"
                # The column stands between the verdict and the figures: "pass: cost:<id>: …".
                last["".join(decision.reason.split(": ")[1:2])] = decision, passed
    lacking: list[str] = []
    for name in hard:
        decision, passed = last.get(f"cost:{name}", (None, False))
        if not passed:
            lacking.append(f"  {name}: {decision.reason if decision else 'no signed release test of it'}")
    if lacking:
        remedy = (
            '  give the last stage a table [stage.release] with column = "cost:<id>" and prompts that nobody '
            "trained on; run it, and keep the result"
        )
        what = f"{about.name}: a hard constraint goes out only with a release test that was passed"
        raise Refused("\n".join([what, *lacking, remedy]))


def _furnished(work: Path, own: Manifest, about: About, hand: Hand | None) -> Exported:
    """Card and signature into the folder; what is the archive's out of it."""
    shutil.rmtree(work / OURS, ignore_errors=True)
    # A card called readme.md too: where case is not told apart, the new one would take its place.
    theirs = next((one for one in own.files if one.name.casefold() == CARD.casefold()), None)
    kept = [one for one in own.files if one is not theirs and one.name != SIGNATURE]
    earlier = _earlier(work, theirs.name, own) if theirs else None
    if theirs and earlier:
        (work / theirs.name).rename(work / earlier.file)
        kept.append(theirs._replace(name=earlier.file))
    text = card(Page(about.name, own, about.chain, hand, earlier)).encode("utf-8")
    (work / CARD).write_bytes(text)
    written = Digests()
    written.update(text)
    whole = Manifest((*kept, written.of(CARD)))
    (work / SIGNATURE).unlink(missing_ok=True)
    if hand is not None:
        said = statement(whole, Bytes.of(whole), None, name=about.name, at=0.0)
        (work / SIGNATURE).write_bytes(sealed(said, hand.signer))
    return Exported(work, whole, earlier.file if earlier else "", hand)


def _earlier(work: Path, theirs: str, own: Manifest) -> Upstream:
    names = {one.name.casefold() for one in own.files}
    free = (f"README.upstream{number or ''}.md" for number in range(len(names) + 1))
    file = next(name for name in free if name.casefold() not in names)
    return read_upstream((work / theirs).read_text(encoding="utf-8", errors="replace"), file)


def _toml(file: Path) -> Mapping[str, object]:
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(file, "TOML, as it was archived", str(error)) from None


def _tables(value: object) -> Iterator[Mapping[str, object]]:
    """Every table in a tree, at any depth."""
    if isinstance(value, dict):
        table = cast("dict[str, object]", value)
        yield table
        for one in table.values():
            yield from _tables(one)
    elif isinstance(value, list):
        for one in cast("list[object]", value):
            yield from _tables(one)
