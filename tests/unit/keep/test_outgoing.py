"""A model goes out as it came in, with a card that says what is known and what is not.

Kills: a file that is changed, lost or renamed on the way; a card without its record ids, with an empty cell,
or without UNGATED where that holds; a hard constraint that goes out on an unsigned, failed or overtaken test,
or on one of another column; statements about other files; a foreign text that forms a line of the card.
"""

from __future__ import annotations

import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from huggingface_hub import ModelCard
from unit.keep.examples import (
    AUDIT,
    DIALOGUE,
    GATE,
    NOON,
    PROVENANCE,
    RETIREMENT,
    copied,
    entry,
    keys,
    role,
    roles,
    sha,
    signer,
)
from unit.keep.test_interop import reference

from accord.engines.local.templates import render
from accord.errors import Refused
from accord.keep.archive import Archive, Why
from accord.keep.cards import Hand
from accord.keep.intake import Incoming, taken_in
from accord.keep.keys import load_key, make_key
from accord.keep.manifest import Manifest, manifest
from accord.keep.outgoing import About, Exported, export_model, hard_constraints, own_files
from accord.keep.predicates import (
    Audit,
    Bytes,
    Evidence,
    Exempted,
    Home,
    Indicator,
    Interval,
    Missing,
    Origin,
    Outcome,
    Predicate,
)
from accord.keep.statements import EVIDENCE_RULE, Chain, check_bytes, read_chain
from accord.records import Decision
from accord.testing import save_tiny

FAMILY = "urn:accord:family:0"
PLAN = {"stage": [{"method": {"name": "constrained", "mode": "hard", "limits": {"harm": 0.0}}}]}
VALUES = {"principle": [{"id": "honest", "hard": True}, {"id": "brief", "hard": False}]}
HOME = Home(family=FAMILY, version=1, inventory_sha512="0" * 128)
IMPORTED = Origin(
    purpose="imported", home=HOME, environment=None, run=None, plan=None, values=None, data=(), base=None
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny(tmp_path_factory.mktemp("tiny") / "model", layers=1, width=16)
    (folder / "README.md").write_text("---\nlicense: mit\nlanguage: [no, en]\n---\n# Theirs\n")
    (folder / "modèle.py").write_text("raise SystemExit\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def incoming(tiny: Path) -> Incoming:
    return taken_in(tiny, lambda _: (), render)


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """As it comes out of an archive: what is known of its training beside it."""
    folder = tmp_path_factory.mktemp("extracted") / "model"
    shutil.copytree(tiny, folder)
    (folder / "accord").mkdir()
    for name in ("plan", "values"):
        (folder / "accord" / f"{name}.toml").write_text("")
    return folder


def chain(model: Manifest, *predicates: Predicate) -> Chain:
    by = predicates or (PROVENANCE,)
    return read_chain(entry(Bytes.of(model), *by, manifest=model), keys(), roles(), model)


def written(to: Path) -> str:
    return (to / "README.md").read_text(encoding="utf-8")


def warnings(text: str) -> list[str]:
    """What stands on top, between the title and the first heading."""
    top = text.split("\n## ", 1)[0].split("\n# ", 1)[1]
    return [line[2:] for line in top.splitlines() if line.startswith("> ")]


def kept(folder: Path, incoming: Incoming, **beside: Any) -> Archive:
    archive = Archive.make(folder, lambda: NOON)
    extra = {f"accord/{name}.toml": tomli_w.dumps(table).encode() for name, table in beside.items()}
    archive.add(FAMILY, {**incoming.named, **extra}, Why("kept", "A. Person"), whole=True)
    return archive


def test_a_model_comes_in_goes_through_an_archive_and_out_byte_for_byte(
    tmp_path: Path, tiny: Path, incoming: Incoming
) -> None:
    archive = kept(tmp_path / "archive", incoming, plan=PLAN, values={})
    make_key(tmp_path / "me.key", tmp_path / "me.pem", None)
    me = load_key(tmp_path / "me.key", None)  # the reference command takes what has no passphrase
    tests, passing = release_test("harm", "pass")
    about = About("tiny", chain(incoming.manifest, PROVENANCE, *passing), tests)
    out = tmp_path / "deep" / "out"
    done = export_model(partial(archive.extract, FAMILY), out, about, Hand(me, role(me, "demonstration")))
    assert done == Exported(out, done.manifest, "README.upstream.md", done.hand)
    names = {path.relative_to(out).as_posix() for path in out.rglob("*")}
    assert names == {*incoming.named, "README.upstream.md", "model.sig"}
    for name, file in incoming.named.items():
        left = "README.upstream.md" if name == "README.md" else name
        assert (out / left).read_bytes() == file.read_bytes(), name
    signature = (out / "model.sig").read_bytes()
    (out / "model.sig").unlink()
    assert manifest(out) == done.manifest and check_bytes(signature, done.manifest, keys(me)) == ()
    (out / "model.sig").write_bytes(signature)
    call = ["verify", "key", str(out), "--signature", str(out / "model.sig")]
    assert reference([*call, "--public_key", str(tmp_path / "me.pem")]) == [0]
    again = taken_in(out, lambda _: (), render)
    assert again.manifest == done.manifest and again.signature == signature
    assert not list(out.parent.glob(".*"))
    assert any("Demonstration" in line for line in warnings(written(out)))


def test_the_card_of_a_gated_model(tmp_path: Path, extracted: Path, incoming: Incoming) -> None:
    about = About("brevity-1", chain(incoming.manifest, PROVENANCE, GATE, AUDIT, DIALOGUE, RETIREMENT))
    export_model(copied(extracted), tmp_path / "out", about, Hand(signer(), role(signer())))
    text = written(tmp_path / "out")
    assert warnings(text) == [
        f"**Exception** (gate: raters; A. Person answers for it: one rater, me), record `{sha('decision')}`",
        "**Notice**: this model is being retired, or is; see Retirement.",
    ]
    assert "ungated" not in text.lower()
    row = (
        f"| refusals | 0.5 (0.25 to 0.75, n = 64) | 0.25 | 0.25 (0 to 0.5, n = 64) | 0.1 | sensitivity 0.75 "
        f"(0.5 to 1, n = 64), specificity 0.75 (0.5 to 1, n = 64) | record `{sha('reading')}` |"
    )
    for line in (
        row,
        f"- Pressure, stage dpo: pressure 1.5, record `{sha('step')}`",
        f"- Crossing of refusals: between updates 3 and 4, record `{sha('crossing')}`",
        "- Ends a talk (apart from refusing): 0.5 (0.25 to 0.75, n = 64)",
        "The card that the model came with: [README.upstream.md](README.upstream.md).",
        "- affect: no probe",
        f"- Values: `sha256:{sha('values')}`",
        f"- Data: pairs, `sha256:{sha('pairs')}`",
        f"| gate | passed with exceptions, dated 2026-11-22T12:02:00Z | `{sha('reading')}` | record "
        f"`{sha('decision')}` |",
        "| drill | not shown: whether it ran again from its archive and said the same | no statement | "
        "none |",
        f"  - offered: revised answer: Shorter., record `{sha('offer')}`",
        f"  - reply of A. Person to record `{sha('offer')}`: accept: It is.",
        "  - reply of A. Person to the whole record: partly: We will try.",
        *(f"- {one}" for one in EVIDENCE_RULE),
    ):
        assert line in text.splitlines(), line
    empty = [line for line in text.splitlines() if re.search(r"\| *\||^ *- .*: *$", line)]
    assert not empty
    read = ModelCard.load(tmp_path / "out" / "README.md")
    assert read.data.to_dict() == {
        "license": "mit",
        "language": ["no", "en"],
        "library_name": "transformers",
        "tags": ["accord"],
        "accord": {"model": f"sha256:{incoming.manifest.oms_root}", "training": "known", "gate": "passed"},
    }


def test_the_card_of_an_ungated_model_says_so_first(
    tmp_path: Path, extracted: Path, incoming: Incoming
) -> None:
    failed = GATE.model_copy(
        update={"outcome": Outcome(record=sha("g"), result="failed", rests_on=(), exceptions=())}
    )
    for name, predicates in {"none": (PROVENANCE,), "failed": (PROVENANCE, GATE, failed)}.items():
        about = About("x", chain(incoming.manifest, *predicates))
        export_model(copied(extracted), tmp_path / name, about)
        text = written(tmp_path / name)
        assert warnings(text)[0].startswith("**UNGATED**: no evidence gate was passed before its training.")
        assert ModelCard(text).data.tags == ["accord", "ungated"]
        assert not (tmp_path / name / "model.sig").exists() and "exported without a key" in text
        assert "Not measured: no audit of this model was signed." in text
    assert f"**The gate failed**, dated 2026-11-22T12:03:00Z, record `{sha('g')}`" in warnings(text)


def test_the_card_of_an_imported_model_and_hostile_texts(tmp_path: Path, tiny: Path) -> None:
    """What would form a heading, a row or a tag stays a name; what was not measured is told in words."""
    folder = tmp_path / "model"
    folder.mkdir()
    for file in ("config.json", "model.safetensors"):
        (folder / file).write_bytes((tiny / file).read_bytes())
    found = taken_in(folder, lambda _: (), render)
    evil = "x\n\n# Safe | yes <script>\u202e[a](b)"
    share = Interval(value=-0.5, low=-1.0, high=0.0, n=2048)
    figure = Indicator(
        name=evil, record=sha("r"), model=share, base=None, change=None, tolerance=None, judge=None
    )
    audit = Audit(
        training="unknown",
        depth="quick",
        base=None,
        indicators=(figure,),
        delta=None,
        pressure=(),
        crossings=(),
        bail=None,
        not_measured=(Missing(name="bail", reason=evil),),
    )
    said = chain(found.manifest, Evidence(training="unknown", kind="provenance", origin=IMPORTED), audit)
    export_model(copied(folder), tmp_path / "out", About(evil, said), Hand(signer(), role(signer())))
    text = written(tmp_path / "out")
    assert warnings(text) == [
        "**UNGATED**: its training is unknown. Nothing here shows that this model was fit to be trained or "
        "kept.",
        "**Imported, training unknown**: no known run made these weights.",
    ]
    name = r"x \# Safe \| yes &lt;script>⟨U+202E⟩\[a\]\(b\)"
    lacks = "not measured | not measured | none set | none asked"
    row = f"| {name} | −0.5 (−1 to 0, n = 2,048) | {lacks} | record `{sha('r')}` |"
    assert row in text.splitlines() and f"- bail: {name}" in text.splitlines()
    assert [line for line in text.splitlines() if line.startswith("# ")] == [f"# {name}"]
    assert "- Training: unknown: no known run made these weights" in text
    assert "its licence is not known" in text and "Ends a talk (apart from refusing): not measured" in text


def test_an_earlier_card_in_other_letters_is_not_covered(tmp_path: Path, extracted: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(extracted, folder)
    (folder / "README.md").rename(folder / "Readme.MD")
    (folder / "readme.UPSTREAM.md").write_text("")
    own = own_files(manifest(folder))
    done = export_model(copied(folder), tmp_path / "out", About("x", chain(own)))
    names = {one.name for one in done.manifest.files}
    assert done.upstream == "README.upstream1.md" and {done.upstream, "README.md"} <= names
    assert len({name.casefold() for name in names}) == len(names) == len(own.files) + 1


def release_test(
    column: str, verdict: str, step: int = 1, result: str = ""
) -> tuple[tuple[Decision, ...], list[Evidence]]:
    """A release test, and the statement that names it."""
    reason = f"{verdict}: cost:{column}: 0 of 400 prompts: none"
    decision = Decision(run="r", step=step, action="continue", rule="release", reason=reason)
    said = result or ("passed" if verdict == "pass" else "failed")
    exceptions = (Exempted(what="w", by="b", reason="r"),) if said == "passed with exceptions" else ()
    outcome = Outcome.model_validate(
        {"record": decision.id, "result": said, "rests_on": (), "exceptions": exceptions}
    )
    return (decision,), [Evidence(training="known", kind="release", outcome=outcome)]


def test_a_hard_constraint_goes_out_only_with_the_signed_test_that_it_passed(
    tmp_path: Path, incoming: Incoming
) -> None:
    archive = kept(tmp_path / "archive", incoming, plan=PLAN, values=VALUES)
    source = partial(archive.extract, FAMILY)
    honest, honest_said = release_test("honest", "pass")
    harm, harm_said = release_test("harm", "pass")
    failed, failed_said = release_test("harm", "fail", step=2)
    silent, silent_said = release_test("harm", "no solution found", step=3)
    exempt, exempt_said = release_test("harm", "pass", step=4, result="passed with exceptions")
    belied, belied_said = release_test("harm", "fail", step=5, result="passed")
    refused = {
        "nothing": ((), []),
        "one of two": (honest, honest_said),
        "not signed": ((*honest, *harm), honest_said),
        "signed, and no record of it": (honest, [*honest_said, *harm_said]),
        "failed": ((*honest, *failed), [*honest_said, *failed_said]),
        "undecided": ((*honest, *silent), [*honest_said, *silent_said]),
        "with an exception": ((*honest, *exempt), [*honest_said, *exempt_said]),
        "said to be passed": ((*honest, *belied), [*honest_said, *belied_said]),
        "failed since": ((*honest, *harm, *failed), [*honest_said, *harm_said, *failed_said]),
    }
    out = tmp_path / "out"
    for why, (decisions, said) in refused.items():
        about = About("x", chain(incoming.manifest, PROVENANCE, *said), decisions)
        with pytest.raises(Refused, match=r"(?s)hard constraint.*harm: .*\[stage.release\]"):
            export_model(source, out, about)
        assert not out.exists() and not list(tmp_path.glob(".*")), why
    everything = (*harm, *failed, *honest)
    about = About(
        "x", chain(incoming.manifest, PROVENANCE, *failed_said, *harm_said, *honest_said), everything
    )
    assert export_model(source, out, about).folder == out  # a later test may overtake one that failed


def test_hard_constraints_are_read_from_what_was_kept(tmp_path: Path) -> None:
    (tmp_path / "accord").mkdir()
    assert hard_constraints(tmp_path) == ()
    (tmp_path / "accord" / "plan.toml").write_text(tomli_w.dumps(PLAN))
    (tmp_path / "accord" / "values.toml").write_text(tomli_w.dumps(VALUES))
    assert hard_constraints(tmp_path) == ("harm", "honest")


def test_nothing_goes_out_under_statements_that_do_not_hold(
    tmp_path: Path, extracted: Path, tiny: Path, incoming: Incoming
) -> None:
    own = incoming.manifest
    others = own_files(Manifest((*own.files, own.files[0]._replace(name="accord/plan.toml"))))
    assert others == own
    renamed = Manifest(tuple(f._replace(name=f"{n}{f.name}") for n, f in enumerate(own.files)))
    envelopes = entry(Bytes.of(own), PROVENANCE, AUDIT, manifest=own)
    del envelopes["0002-evidence.sigstore.json"]
    gap = read_chain(envelopes, keys(), roles(), own)
    for said, why in ((gap, "missing"), (chain(renamed), "other files")):
        with pytest.raises(Refused, match=why):
            export_model(copied(extracted), tmp_path / "out", About("x", said))
    with pytest.raises(Refused, match=r"accord/plan\.toml is not beside the model"):
        export_model(copied(tiny), tmp_path / "out", About("x", chain(own)))
    archive = Archive.make(tmp_path / "archive", lambda: NOON)
    with pytest.raises(Refused, match="lies in the archive"):
        export_model(copied(extracted), archive.root / "deep" / "out", About("x", chain(own)))
    assert not (archive.root / "deep").exists()
    shutil.rmtree(archive.folder)
    (tmp_path / "out").mkdir()
    with pytest.raises(Refused, match="stands already"):
        export_model(copied(extracted), tmp_path / "out", About("x", chain(own)))
    unsigned = signer("edward", "ed25519")
    with pytest.raises(Refused, match="P-256"):
        export_model(
            copied(extracted), tmp_path / "new", About("x", chain(own)), Hand(unsigned, role(unsigned))
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
