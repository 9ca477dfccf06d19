"""Envelopes: nothing in one can be changed unseen, whether it is signed or not."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from unit.keep.examples import NOON, OURS, PROVENANCE, keys, model, sha, signer

from accord.cli.codes import Exit
from accord.errors import Refused
from accord.keep.envelopes import Opened, Statement, opened, sealed
from accord.keep.faults import Fault, worst
from accord.keep.keys import Keys
from accord.keep.predicates import PREDICATES, Bytes, Predicate
from accord.keep.statements import check_bytes, statement
from accord.records import canonical

ALL: tuple[Predicate, ...] = (Bytes.of(model()), *OURS)  # pyright: ignore[reportAssignmentType]


def seal(predicate: Predicate) -> bytes:
    return sealed(statement(model(), predicate, None, name="brevity-1", at=NOON), signer())


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    yield path
    for name, child in children:
        yield from leaves(child, (*path, name))


def altered(value: Any) -> Any:
    """Something else that could stand in its place."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1:] == "0" else "0")
    if isinstance(value, list):
        return value[:-1] if value else [1]
    if isinstance(value, dict):
        return dict(list(value.items())[:-1])
    return "x"


def put(tree: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> None:
    for name in path[:-1]:
        tree = tree[name]
    tree[path[-1]] = change(tree[path[-1]])


@pytest.mark.parametrize("predicate", ALL, ids=lambda one: getattr(one, "kind", one.word))
def test_every_signed_field_altered_is_found(predicate: Predicate) -> None:
    data = seal(predicate)
    assert isinstance(opened(data, keys()), Opened)
    bundle = json.loads(data)
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    fields = [path for path in leaves(payload) if path]
    assert len(fields) > 20
    for path in fields:
        tree = json.loads(json.dumps(payload))
        put(tree, path, altered)
        assert tree != payload
        written = base64.b64encode(canonical(tree).encode()).decode()
        bundle["dsseEnvelope"]["payload"] = written
        found = opened(canonical(bundle).encode(), keys(), "0001-x.sigstore.json")
        assert isinstance(found, Fault) and found.where == "0001-x.sigstore.json", path
        assert found.code == 3, (path, found)


def test_every_bit_of_ours_counts() -> None:
    """Unsigned parts too: the hint, spacing, the form of the signature. Mutants: no comparison with the form
    that Accord writes; base64 that skips foreign letters."""
    data = seal(PROVENANCE)
    draw = random.Random(7)
    for place in draw.sample(range(len(data) * 8), 250):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        assert isinstance(opened(bytes(flipped), keys()), Fault), place
    for changed in (
        data + b"\n",
        data.replace(b'","', b'", "', 1),
        data.replace(b'"keyid":""', b'"keyid":null'),
    ):
        assert changed != data
        found = opened(changed, keys())
        assert isinstance(found, Fault) and found.code == 3


def test_the_other_form_of_a_signature_and_letters_beside_base64_count() -> None:
    bundle = json.loads(seal(PROVENANCE))
    mark = bundle["dsseEnvelope"]["signatures"][0]
    r, s = decode_dss_signature(base64.b64decode(mark["sig"]))
    mark["sig"] = base64.b64encode(encode_dss_signature(r, ec.SECP256R1.group_order - s)).decode()
    found = opened(canonical(bundle).encode(), keys())
    assert isinstance(found, Fault) and found.code == 3 and "written anew" in found.says
    held = json.loads(seal(ALL[0]))
    held["dsseEnvelope"]["payload"] = "!" + held["dsseEnvelope"]["payload"]
    loose = opened(json.dumps(held).encode(), keys())
    assert isinstance(loose, Fault) and loose.says == "payload is no base64"


def test_keys_are_told_apart() -> None:
    mine, other = signer(), signer("other")
    data = seal(PROVENANCE)
    claimed = data.replace(mine.id.encode(), other.id.encode())
    nobody = data.replace(mine.id.encode(), sha("nobody").encode())
    unnamed = data.replace(mine.id.encode(), b"")
    swapped = Keys(broken={mine.id: Fault("contradicted", f"keys/{mine.id}.pem", "was swapped")})
    cases = [
        (data, keys(other), 4, "not among the public keys"),
        (data, Keys(), 4, "not among the public keys"),
        (data, swapped, 3, "was swapped"),
        (claimed, keys(mine, other), 3, "signed it"),
        (claimed, keys(other), 3, "changed after it was signed"),
        (nobody, keys(mine), 3, "signed it"),
        (unnamed, keys(mine), 3, "not written as Accord"),
    ]
    for given, known, code, said in cases:
        found = opened(given, known)
        assert isinstance(found, Fault) and found.code == code and said in found.says, (said, found)


def test_ed25519_signs_ours_and_no_bytes() -> None:
    edwards = signer("edwards", "ed25519")
    bound = statement(model(), PROVENANCE, None, name="m", at=NOON)
    found = opened(sealed(bound, edwards), keys(edwards))
    assert isinstance(found, Opened) and found.key.curve == "ed25519"
    held = statement(model(), Bytes.of(model()), None, name="m", at=NOON)
    with pytest.raises(Refused, match="P-256"):
        sealed(held, edwards)
    kind, payload = b"application/vnd.in-toto+json", held.payload()  # as another tool might sign it
    raw = edwards.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    bundle = json.loads(sealed(held, signer()))
    bundle["verificationMaterial"]["publicKey"]["hint"] = edwards.id
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(raw).decode()
    foreign = opened(json.dumps(bundle).encode(), keys(edwards))
    assert isinstance(foreign, Fault) and "NIST curve" in foreign.says


def test_a_statement_that_contradicts_itself_is_not_signed() -> None:
    held = Bytes.of(model())
    double = held.model_copy(update={"resources": held.resources * 2})
    outside = held.resources[0].model_copy(update={"name": "../x"})
    root = model().oms_root
    for wrong in (
        Statement("m", root, PROVENANCE),
        Statement("m", sha("another"), held),
        Statement("m", root, double),
        Statement("m", root, held.model_copy(update={"resources": (outside, *held.resources[1:])})),
    ):
        with pytest.raises(Refused, match="cannot be signed"):
            sealed(wrong, signer())


def test_what_is_no_envelope_is_a_fault_and_no_crash() -> None:
    """Damaged is contradicted; a form that Accord does not read is only not checked."""
    bundle = json.loads(seal(ALL[0]))
    deep = b"[" * 100_000
    double = seal(ALL[0]).replace(b'{"dsseEnvelope"', b'{"mediaType":"x","dsseEnvelope"', 1)
    for data in (b"", b"\xff", b"[]", b"{}", deep, double, seal(ALL[0])[:-9]):
        assert getattr(opened(data, keys()), "code", 0) == 3, data[:20]
    shards = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    shards["predicate"]["serialization"]["method"] = "shards"
    hub = {**bundle, "verificationMaterial": {"certificate": {"rawBytes": ""}, "tlogEntries": []}}
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(shards).encode()).decode()
    for unknown in (bundle, hub):
        assert getattr(opened(json.dumps(unknown).encode(), Keys()), "code", 0) == 4


def test_what_an_envelope_says_is_shown_so_that_it_does_nothing() -> None:
    """A ``model.sig`` that came along is anybody's, and what is wrong with it goes to the terminal."""
    evil = "\x1b[2J\n" + "x" * 99_999
    held, ours = json.loads(seal(ALL[0])), json.loads(seal(PROVENANCE))

    def told(bundle: Any, **changed: Any) -> str:
        payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        payload["predicate"].update(changed.pop("predicate", {}))
        payload.update(changed)
        bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
        return str(check_bytes(json.dumps(bundle).encode(), model(), Keys())[0])

    resource = {"name": evil, "digest": sha(""), "algorithm": "sha256"}
    root = hashlib.sha256(hashlib.sha256(b"").digest()).hexdigest()
    about = [{"name": "m", "digest": {"sha256": root}}]
    for found in (
        told(held, subject=about, predicate={"resources": [resource]}),
        told({**held, "mediaType": evil}),
        told(held, predicateType=evil),
        told(ours, predicate={evil: 1}),
    ):
        assert "⟨U+001B⟩" in found or "\\x1b" in found
        assert "\x1b" not in found and "\n" not in found and len(found) < 500


def test_faults_end_a_command_as_the_command_line_says() -> None:
    bad, unknown = Fault("contradicted", "a", "b"), Fault("cannot be checked", "a", "b")
    assert (bad.code, unknown.code, worst([])) == (Exit.BAD, Exit.UNCHECKED, Exit.DONE)
    assert worst([unknown, bad]) == Exit.BAD and worst([unknown]) == Exit.UNCHECKED
    assert len(PREDICATES) == 5
