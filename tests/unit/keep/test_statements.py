"""The chain of an entry: each fault has its own words, and none of what is signed right is doubted."""

from __future__ import annotations

import base64
import json
from datetime import date
from pathlib import Path

import pytest
from unit.keep.examples import (
    AUDIT,
    DIALOGUE,
    GATE,
    NOON,
    PROVENANCE,
    RETIREMENT,
    entry,
    keys,
    model,
    role,
    roles,
    sha,
    signer,
)

from accord.errors import Refused
from accord.keep.envelopes import Opened, opened, sealed
from accord.keep.faults import Fault
from accord.keep.keys import Keys, load_key, make_key
from accord.keep.manifest import Manifest
from accord.keep.predicates import Bytes, Dialogue, Evidence, Missing
from accord.keep.statements import check_bytes, entitled, read_chain, statement


def said(
    files: dict[str, bytes], known: Keys | None = None, held: object = None
) -> list[tuple[int, str, str]]:
    chain = read_chain(files, known or keys(), roles(), held)  # pyright: ignore[reportArgumentType]
    return [(fault.code, fault.where[:4], fault.says) for fault in chain.faults]


def test_a_sound_chain_is_read_in_its_order() -> None:
    files = entry()
    mixed = dict(zip(["d", "b", "c", "a"], files.values(), strict=True))  # names do not give the order
    chain = read_chain(mixed, keys(), roles(), model())
    assert chain.faults == ()
    assert [one.predicate.word for one in chain.statements] == ["bytes", "evidence", "audit", "retirement"]
    assert "A. Person (steward)" in chain.says[1] and not chain.demonstration
    assert chain.last is not None and chain.last.statement.predicate.word == "retirement"


def test_one_from_the_middle_is_missed() -> None:
    files = entry()
    for gone in list(files)[:-1]:
        found = said({name: data for name, data in files.items() if name != gone})
        assert [(code, where) for code, where, _ in found] == [(3, f"{int(gone[:4]) + 1:04d}")]
        assert "missing: taken out" in found[0][2]
    cut = dict(list(files.items())[:-1])
    assert said(cut) == []  # off the end: what a log in other hands is for


def test_an_altered_one_is_found_in_its_place_and_by_its_successor() -> None:
    files = entry()
    name = "0003-audit.sigstore.json"
    bundle = json.loads(files[name])
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).replace(b'"delta":0.01', b'"delta":0.10')
    files[name] = files[name].replace(bundle["dsseEnvelope"]["payload"].encode(), base64.b64encode(payload))
    codes = [(code, where) for code, where, _ in said(files)]
    assert codes == [(3, "0003"), (3, "0004")]


def test_forks_and_second_beginnings_are_two_histories() -> None:
    held, files = model(), entry()
    first = opened(files["0001-bytes.sigstore.json"], keys())
    assert isinstance(first, Opened)
    other = sealed(statement(held, GATE, first, name="m", at=NOON + 999), signer())
    assert said({**files, "0009-evidence.sigstore.json": other}) == [
        (3, "0009", "names the same statement before it as 0002-evidence.sigstore.json: two histories")
    ]
    again = sealed(statement(held, Bytes.of(held), None, name="m", at=NOON), signer())
    assert [text for _, _, text in said({**files, "0009-bytes.sigstore.json": again})] == [
        "names no statement before it, and 0001-bytes.sigstore.json is the first: two beginnings"
    ]


def test_a_clock_that_was_set_back_is_refused_and_told() -> None:
    files = entry(PROVENANCE)
    first = opened(files["0001-evidence.sigstore.json"], keys())
    assert isinstance(first, Opened)
    with pytest.raises(Refused, match="clock was set back"):
        statement(model(), AUDIT, first, name="m", at=NOON - 1)
    same = statement(model(), AUDIT, first, name="m", at=NOON)  # within the same second is not before
    lied = same._replace(predicate=same.predicate.model_copy(update={"date": "2026-11-22T11:59:59Z"}))
    for second, told in ((same, []), (lied, [(3, "0002", True)])):
        found = said({**files, "0002-audit.sigstore.json": sealed(second, signer())})
        assert [(code, where, "a clock was set back" in text) for code, where, text in found] == told


def test_what_is_signed_right_about_another_model_is_found() -> None:
    """Mutants: any one of the three comparisons dropped. The signatures all hold."""
    held, files = model(), entry()
    last = opened(files["0004-retirement.sigstore.json"], keys())
    assert isinstance(last, Opened)
    sound = statement(held, GATE, last, name="m", at=NOON + 999)
    assert isinstance(sound.predicate, Evidence)
    for wrong, words in (
        (sound._replace(root=sha("another")), "is about the model"),
        (
            sound._replace(predicate=sound.predicate.model_copy(update={"manifest_sha512": "0" * 128})),
            "names or sizes",
        ),
        (
            sound._replace(predicate=sound.predicate.model_copy(update={"training": "unknown"})),
            "training is unknown",
        ),
    ):
        found = said({**files, "0005-evidence.sigstore.json": sealed(wrong, signer())})
        assert [(code, where, words in text) for code, where, text in found] == [(3, "0005", True)]
    assert said(files, held=model("weights", "other"))[0][2].startswith("is about the model")
    renamed = Manifest(tuple(file._replace(name=f"{file.name}.old") for file in held.files))
    assert renamed.oms_root == held.oms_root  # the root of the format binds no names
    only = {"0001-bytes.sigstore.json": files["0001-bytes.sigstore.json"]}
    assert [code for code, _, _ in said(only, held=renamed)] == [3] * 4 and said(only, held=held) == []
    with pytest.raises(Refused, match="another model"):
        statement(model("x"), GATE, last, name="m", at=NOON + 999)


def test_who_signed_is_asked_on_the_day_of_the_statement() -> None:
    one, other = signer(), signer("other")
    files = entry(Bytes.of(model()), PROVENANCE, AUDIT, by=(one, one, other))
    known = keys(one, other)
    auditor = role(other, "auditor", "B. Person")
    assert read_chain(files, known, roles(role(one), auditor)).faults == ()
    ended = roles(role(one, until=date(2026, 11, 21)), auditor)
    late = roles(role(one, start=date(2026, 11, 23)), auditor)
    for days in (ended, late):
        faults = read_chain(files, known, days).faults
        assert [(fault.code, "had no role on 2026-11-22" in fault.says) for fault in faults] == [
            (3, True)
        ] * 2
    swapped = read_chain(files, known, roles(role(one, "auditor"), role(other, person="B. Person"))).faults
    assert [(fault.code, fault.where[:4]) for fault in swapped] == [(3, "0001")]
    unnamed = read_chain(files, known, roles(role(one))).faults
    assert [(fault.code, fault.where[:4]) for fault in unnamed] == [(4, "0003")]
    missing = read_chain(files, keys(one), roles(role(one), auditor))
    assert [(fault.code, fault.where[:4]) for fault in missing.faults] == [(4, "0003")]
    assert [one.where[:4] for one in missing.statements] == ["0001", "0002"]


def test_a_demonstration_key_and_unknown_training_are_in_every_reading() -> None:
    origin = PROVENANCE.origin
    assert origin is not None
    nothing = {"purpose": "imported", "run": None, "plan": None, "values": None, "data": (), "base": None}
    found = origin.model_copy(update={**nothing, "environment": None})
    imported = Evidence(training="unknown", kind="provenance", origin=found)
    audit = AUDIT.model_copy(update={"training": "unknown"})
    files = entry(imported, audit)
    chain = read_chain(files, keys(), roles(role(signer(), "demonstration")))
    assert chain.faults == () and chain.demonstration
    assert all("demonstration key" in line and "training unknown" in line for line in chain.says)
    with pytest.raises(ValueError, match="training is known of what a run made"):
        Evidence(training="known", kind="provenance", origin=found)


def test_only_who_may_sign_does(tmp_path: Path) -> None:
    one = signer()
    assert entitled(one, roles(), PROVENANCE, NOON).person == "A. Person"
    with pytest.raises(Refused, match="has no role on 2026-11-22"):
        entitled(one, roles(role(one, until=date(2026, 11, 21))), PROVENANCE, NOON)
    with pytest.raises(Refused, match="steward signs a retirement"):
        entitled(one, roles(role(one, "auditor")), RETIREMENT, NOON)
    make_key(tmp_path / "open.key", tmp_path / "open.pem", None)
    unlocked = load_key(tmp_path / "open.key", None)
    with pytest.raises(Refused, match="no passphrase"):
        entitled(unlocked, roles(role(unlocked)), PROVENANCE, NOON)
    shown = entitled(unlocked, roles(role(unlocked, "demonstration")), RETIREMENT, NOON)
    assert shown.role == "demonstration"


def test_a_day_that_is_none_is_told_and_stops_nobody() -> None:
    """Signed all the same, it would end every reading of the entry with a traceback."""
    for day in ("2027-02-30", "٢٠٢٧-٠١-٠١"):
        with pytest.raises(ValueError):
            RETIREMENT.model_validate({**RETIREMENT.model_dump(by_alias=True), "sealing": day})
        lied = statement(model(), RETIREMENT.model_copy(update={"sealing": day}), None, name="m", at=NOON)
        found = said({"0001-retirement.sigstore.json": sealed(lied, signer())})
        assert [(code, where) for code, where, _ in found] == [(3, "0001")]


def test_files_are_held_against_the_signature_even_without_its_key() -> None:
    held = model("a", "b")
    data = sealed(statement(held, Bytes.of(held), None, name="m", at=NOON), signer())
    assert check_bytes(data, held, keys()) == ()
    assert [fault.code for fault in check_bytes(data, held, Keys())] == [4]
    changed = check_bytes(data, model("a", "B"), Keys())
    assert [fault.code for fault in changed] == [3, 4]
    assert changed[0].says == "part/1.safetensors: changed after it was signed"
    assert [fault.says.split(": ")[-1] for fault in check_bytes(data, model("a"), keys())] == [
        "signed and not there"
    ]
    assert [fault.says.split(": ")[-1] for fault in check_bytes(data, model("a", "b", "c"), keys())] == [
        "not signed"
    ]
    assert check_bytes(entry()["0003-audit.sigstore.json"], held, keys())[0] == Fault(
        "contradicted", "model.sig", "is about audit, not bytes"
    )
    with pytest.raises(ValueError, match="bail"):
        AUDIT.model_validate(
            {**AUDIT.model_dump(), "bail": None, "not_measured": (Missing(name="x", reason="y"),)}
        )


def test_a_dialogue_comes_to_no_more_than_its_figures_and_replies_say() -> None:
    """Kills: an acceptance in the name of a person who did not reply, an answer learnt that nobody offered,
    a result within chance."""
    told = DIALOGUE.model_dump()
    assert Dialogue.model_validate({**told, "result": "revised answer", "accepted_by": None}).offers
    chance = {**told["agreement"], "null": told["agreement"]["kappa"]["value"]}
    carved = ({**told["offers"][0], "kind": "contested slice"},)
    for wrong, match in (
        ({"accepted_by": "B. Person"}, "replied so to an offer"),
        ({"replies": ({**told["replies"][0], "answer": "decline"},)}, "replied so to an offer"),
        ({"result": "revised answer"}, "names the person"),
        ({"result": "revised answer", "accepted_by": None, "offers": carved}, "offered to be learnt"),
        ({"result": "declined", "accepted_by": None, "agreement": chance}, "beyond chance"),
        ({"agreement": None}, "beyond chance"),
    ):
        with pytest.raises(ValueError, match=match):
            Dialogue.model_validate({**told, **wrong})
