"""Keys and roles: made closed, opened only by their owner, and never taken for those of somebody else."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from unit.keep.examples import PASSPHRASE, role, signer

from accord.errors import Refused, Unreadable
from accord.keep import keys as module
from accord.keep.keys import PublicKey, archive_above, load_key, make_key, public_key, public_keys
from accord.keep.roles import Role, Roles, enrol

CURVES = {"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    private, public = tmp_path / "deep" / "me.key", tmp_path / "me.pem"
    made = make_key(private, public, PASSPHRASE)
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in private.read_bytes()
    assert public_key(public) == made
    with pytest.raises(Refused, match="does not open"):
        load_key(private, b"not the passphrase")
    with pytest.raises(Refused, match="none was given"):
        load_key(private, None)
    opened = load_key(private, PASSPHRASE)
    assert opened.protected and opened.public == made
    assert "PRIVATE" not in repr(opened)
    for mode in (0o604, 0o640, 0o610):
        private.chmod(mode)
        with pytest.raises(Refused, match=r"chmod 600"):
            load_key(private, PASSPHRASE)
    with pytest.raises(Refused, match="stands there already"):
        make_key(private, public, PASSPHRASE)


def test_of_two_that_make_the_same_key_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: a rename, which would take the place of the other's key unseen."""
    private, theirs = tmp_path / "me.key", b"made meanwhile"
    drawn = ec.generate_private_key

    def slowly(curve: ec.EllipticCurve) -> ec.EllipticCurvePrivateKey:
        private.write_bytes(theirs)
        return drawn(curve)

    monkeypatch.setattr(ec, "generate_private_key", slowly)
    with pytest.raises(Refused, match="stands there already"):
        make_key(private, tmp_path / "me.pem", PASSPHRASE)
    assert private.read_bytes() == theirs and [path.name for path in tmp_path.iterdir()] == ["me.key"]


def test_a_folder_above_that_is_closed_holds_no_archive() -> None:
    """ "/root" is closed to all but one user, and a path from "/" on leads past it."""
    with TemporaryDirectory(dir="/tmp") as folder:
        (Path(folder) / "root").mkdir(mode=0)
        Path(folder).chmod(0o755)
        child = os.fork()
        if not child:  # pragma: no cover - in a process of its own
            try:
                if os.geteuid() == 0:
                    os.setuid(65534)
                os._exit(0 if archive_above(Path(folder) / "own" / "me.key") is None else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_pipe_is_no_key_and_is_not_waited_at(tmp_path: Path) -> None:
    for name in ("a.pem", "me.key"):
        os.mkfifo(tmp_path / name, 0o600)
    assert [fault.says for fault in public_keys(tmp_path).faults] == ["no plain file"]
    with pytest.raises(Unreadable, match="no plain file"):
        load_key(tmp_path / "me.key", PASSPHRASE)


def test_nobody_loses_a_role_to_who_enrols_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutant: no lock between reading the roles and writing them."""
    people = [PublicKey(f"{n:064x}", b"", "p256") for n in range(6)]
    read = Roles.read

    def slowly(folder: Path) -> Roles:
        found = read(folder)
        time.sleep(0.01)
        return found

    monkeypatch.setattr(Roles, "read", slowly)
    with ThreadPoolExecutor(6) as pool:
        list(
            pool.map(
                lambda one: enrol(tmp_path, one, Role(one.id, f"P {one.id}", "steward", date(2026, 1, 1))),
                people,
            )
        )
    assert {role.key for role in read(tmp_path).roles} == {one.id for one in people}


def test_a_role_belongs_to_somebody(tmp_path: Path) -> None:
    for nobody in (" ", "A\nPerson", "A\u202ePerson"):
        with pytest.raises(Refused, match="not the name of a person"):
            enrol(tmp_path, signer().public, role(signer(), person=nobody))
    assert not (tmp_path / "roles.toml").exists()


def test_what_is_no_key_says_so_and_a_missing_one_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="accord keep key --by NAME"):
        load_key(tmp_path / "none.key", PASSPHRASE)
    file = tmp_path / "text.key"
    file.write_text("no key")
    file.chmod(0o600)
    with pytest.raises(Unreadable, match="private key"):
        load_key(file, PASSPHRASE)
    with pytest.raises(Refused, match="at least 12"):
        make_key(tmp_path / "short.key", tmp_path / "short.pem", b"short")
    assert not (tmp_path / "short.key").exists()


def test_no_private_key_lies_in_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "root").mkdir(parents=True)
    (archive / "root" / "0=ocfl_1.1").write_text("ocfl_1.1\n")
    with pytest.raises(Refused, match="never lies in an archive"):
        make_key(archive / "keys" / "me.key", tmp_path / "me.pem", PASSPHRASE)
    (archive / "keys").mkdir()
    (tmp_path / "linked").symlink_to(archive / "keys")
    with pytest.raises(Refused, match="never lies in an archive"):
        make_key(tmp_path / "linked" / "me.key", tmp_path / "me.pem", PASSPHRASE)


def test_the_same_signature_in_another_form_is_not_ours() -> None:
    """Mutants: s kept as the library drew it; a wrong order of the group."""
    orders = module._ORDERS  # pyright: ignore[reportPrivateUsage]
    assert {name: curve.group_order for name, curve in CURVES.items()} == dict(orders)
    one = signer()
    for text in (b"a", b"b", b"c", b"d", b"e", b"f"):
        r, s = decode_dss_signature(one.sign(text))
        other = encode_dss_signature(r, orders["p256"] - s)
        assert one.public.verifies(other, text)
        assert s <= orders["p256"] // 2 and one.public.lowest(other) == encode_dss_signature(r, s)


def test_a_swapped_public_key_is_told(tmp_path: Path) -> None:
    mine, other = signer().public, signer("other").public
    (tmp_path / f"{mine.id}.pem").write_bytes(mine.pem)
    (tmp_path / "theirs.pem").write_bytes(other.pem)
    assert set(public_keys(tmp_path).known) == {mine.id, other.id} and not public_keys(tmp_path).faults
    (tmp_path / f"{mine.id}.pem").write_bytes(other.pem)
    (tmp_path / "torn.pem").write_bytes(other.pem[:80])
    found = public_keys(tmp_path)
    assert set(found.known) == {other.id}
    assert [fault.code for fault in found.faults] == [3, 3]
    assert "swapped" in found.broken[mine.id].says


def test_roles_hold_on_their_days(tmp_path: Path) -> None:
    one, other = signer(), signer("other")
    first = role(one, until=date(2026, 6, 30))
    for given in (
        first,
        first,
        role(one, "auditor", start=date(2026, 7, 1)),
        role(other, person="B. Person"),
    ):
        enrol(tmp_path, given_key := (one if given.key == one.id else other).public, given)
        assert public_key(tmp_path / f"{given_key.id}.pem") == given_key
    read = Roles.read(tmp_path)
    assert len(read.roles) == 3

    def at(day: int, month: int, hour: int = 0) -> str:
        found = read.at(one.id, datetime(2026, month, day, hour, 59, tzinfo=UTC))
        return found.role if found else ""

    assert [at(1, 1), at(30, 6, 23), at(1, 7)] == ["steward", "steward", "auditor"]
    assert read.at(one.id, datetime(2025, 12, 31, 23, 59, tzinfo=UTC)) is None
    with pytest.raises(Refused, match=r"is the key of A\. Person"):
        enrol(tmp_path, one.public, role(one, person="B. Person", start=date(2030, 1, 1)))
    with pytest.raises(Refused, match="is auditor from 2026-07-01 already"):
        enrol(tmp_path, one.public, role(one, start=date(2026, 12, 1)))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "none"),
        ('role = "stewart"', 'did you mean "steward"?'),
        ('person = " "', "the name of a person"),
        ('from = "2026-01-01"', "without quotes"),
        ("from = 2026-01-01T00:00:00Z", "without quotes"),
        ("from = 2026-01-01\nuntil = 2025-01-01", "before it begins"),
        ('until = 2027-01-01\nuntill = ""', 'did you mean "until"?'),
        ('id = "abc"', "64 hexadecimal digits"),
    ],
)
def test_a_roles_file_is_read_to_the_letter(tmp_path: Path, line: str, said: str) -> None:
    fields = {"id": f'"{signer().id}"', "person": '"A"', "role": '"steward"', "from": "2026-01-01"}
    written = {one.split(" = ")[0] for one in line.splitlines()} or {"from"}
    body = [f"{name} = {value}" for name, value in fields.items() if name not in written]
    (tmp_path / "roles.toml").write_text("\n".join(["[[key]]", *body, line]))
    with pytest.raises(Unreadable) as caught:
        Roles.read(tmp_path)
    assert said in str(caught.value) and "key 1" in str(caught.value)
