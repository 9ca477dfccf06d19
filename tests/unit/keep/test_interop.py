"""The reference command of OpenSSF Model Signing and Accord accept each other's signatures."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path

from unit.keep.examples import NOON

from accord.keep.envelopes import Opened, opened, sealed
from accord.keep.faults import Fault
from accord.keep.keys import Keys, load_key, make_key, public_keys
from accord.keep.manifest import manifest
from accord.keep.predicates import Bytes
from accord.keep.statements import check_bytes, statement

# One process, for each start takes seconds: the command line of model_signing, once for each list of words.
REFERENCE = """
import json, sys
from model_signing._cli import main
codes = []
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps(codes))
"""


def reference(*calls: list[str]) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, json.dumps(calls)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def folder(path: Path) -> Path:
    """Names that sort otherwise by letters than by parts, one beyond ASCII, an empty file."""
    (path / "a").mkdir(parents=True)
    for name, text in {"a/b": "1", "a.b": "2", "größe.json": "{}", "empty": "", ".hidden": "3"}.items():
        (path / name).write_text(text, "utf-8")
    return path


def test_the_reference_command_and_accord_read_each_other(tmp_path: Path) -> None:
    ours, damaged, theirs = (folder(tmp_path / name) for name in ("ours", "damaged", "theirs"))
    private, keys_at = tmp_path / "me.key", tmp_path / "keys"
    made = make_key(private, keys_at / "me.pem", None)  # the reference opens no locked key: it hands on text
    make_key(tmp_path / "other.key", tmp_path / "other.pem", None)
    held = manifest(ours)
    signature = sealed(statement(held, Bytes.of(held), None, name="ours", at=NOON), load_key(private, None))
    for place in (ours, damaged):
        (place / "model.sig").write_bytes(signature)
    (damaged / "a.b").write_text("3")

    def words(verb: str, place: Path, key: Path) -> list[str]:
        named = "--private_key" if verb == "sign" else "--public_key"
        return [verb, "key", str(place), "--signature", str(place / "model.sig"), named, str(key)]

    public = keys_at / "me.pem"
    codes = reference(
        words("verify", ours, public),
        words("verify", damaged, public),
        words("verify", ours, tmp_path / "other.pem"),
        words("sign", theirs, private),
    )
    assert codes == [0, 1, 1, 0]

    known = public_keys(keys_at)
    assert set(known.known) == {made.id}
    for place in (ours, theirs):
        assert check_bytes((place / "model.sig").read_bytes(), manifest(place), known) == ()
    foreign = (theirs / "model.sig").read_bytes()
    assert [fault.code for fault in check_bytes(foreign, manifest(damaged), known)] == [3]
    assert [fault.code for fault in check_bytes(foreign, manifest(theirs), Keys())] == [4]
    (theirs / "größe.json").write_text("[]")
    assert [fault.says for fault in check_bytes(foreign, manifest(theirs), known)] == [
        "größe.json: changed after it was signed"
    ]


def test_signatures_of_other_makers_and_years_are_read(tmp_path: Path) -> None:
    """As the specification lists them: no tlogEntries, a keyid that is absent or null, the key for its hint.
    And a signer that leaves a file out is not silent about it."""
    place = folder(tmp_path / "model")
    public = make_key(tmp_path / "me.key", tmp_path / "me.pem", None)
    known, held = Keys({public.id: public}), manifest(place)
    signer = load_key(tmp_path / "me.key", None)
    all_files = Bytes.of(held)
    bundle = json.loads(sealed(statement(held, all_files, None, name="model", at=NOON), signer))
    older = json.loads(json.dumps(bundle))
    older["verificationMaterial"] = {
        "publicKey": {
            "rawBytes": base64.b64encode(public.pem).decode(),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        }
    }
    older["dsseEnvelope"]["signatures"][0]["keyid"] = None
    del bundle["verificationMaterial"]["tlogEntries"], bundle["dsseEnvelope"]["signatures"][0]["keyid"]
    for form in (older, bundle):
        assert isinstance(opened(json.dumps(form, indent=2).encode(), known), Opened)
    assert isinstance(opened(json.dumps(older).encode(), Keys()), Fault)

    some = all_files.model_copy(
        update={
            "resources": tuple(one for one in all_files.resources if one.name != "a/b"),
            "serialization": all_files.serialization.model_copy(update={"ignore_paths": ("a",)}),
        }
    )
    fewer = type(held)(tuple(file for file in held.files if file.name != "a/b"))
    signed = sealed(statement(fewer, some, None, name="model", at=NOON), signer)
    assert check_bytes(signed, held, known) == (
        Fault("cannot be checked", "model.sig", "a/b: its signer left it out"),
    )
