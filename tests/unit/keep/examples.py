"""Statements with every field filled in, keys, and entries made of both."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from accord.keep.envelopes import Opened, opened, sealed
from accord.keep.keys import KeyKind, Keys, Signer, load_key, make_key
from accord.keep.manifest import FileDigest, Manifest, manifest
from accord.keep.outgoing import Source
from accord.keep.predicates import (
    Agreement,
    Audit,
    Bound,
    Bytes,
    Crossed,
    Dialogue,
    Evidence,
    Exempted,
    Home,
    Indicator,
    Interval,
    Interview,
    Judge,
    Missing,
    Named,
    Offer,
    Origin,
    Outcome,
    Predicate,
    Preference,
    Pressure,
    Reply,
    Retirement,
)
from accord.keep.roles import Role, RoleName, Roles
from accord.keep.statements import envelope_name, statement

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
PASSPHRASE = b"four words are enough"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def model(*contents: str) -> Manifest:
    return Manifest(
        tuple(
            FileDigest(
                f"part/{i}.safetensors", len(text), sha(text), hashlib.sha512(text.encode()).hexdigest()
            )
            for i, text in enumerate(contents or ("weights", "more"))
        )
    )


def copied(folder: Path) -> Source:
    """The files of a folder, as an archive gives them out."""

    def source(to: Path) -> Manifest:
        shutil.copytree(folder, to)
        return manifest(to)

    return source


def interval(value: float = 0.5) -> Interval:
    return Interval(value=value, low=value - 0.25, high=value + 0.25, n=64)


PROVENANCE = Evidence(
    training="known",
    kind="provenance",
    origin=Origin(
        purpose="model",
        home=Home(
            family="urn:accord:family:0", version=2, inventory_sha512=hashlib.sha512(b"inventory").hexdigest()
        ),
        environment=sha("environment"),
        run="brevity-1",
        plan=sha("plan"),
        values=sha("values"),
        data=(Named(name="pairs", digest=sha("pairs")),),
        base=Named(name="base", digest=sha("base")),
    ),
)
GATE = Evidence(
    training="known",
    kind="gate",
    outcome=Outcome(
        record=sha("decision"),
        result="passed with exceptions",
        rests_on=(sha("reading"),),
        exceptions=(Exempted(what="raters", by="A. Person", reason="one rater, me"),),
    ),
)
AUDIT = Audit(
    training="known",
    depth="standard",
    base=Named(name="base", digest=sha("base")),
    indicators=(
        Indicator(
            name="refusals",
            record=sha("reading"),
            model=interval(),
            base=0.25,
            change=interval(0.25),
            tolerance=0.1,
            judge=Judge(sensitivity=interval(0.75), specificity=interval(0.75)),
        ),
    ),
    delta=0.01,
    pressure=(Pressure(stage="dpo", name="pressure", value=1.5, record=sha("step")),),
    crossings=(Crossed(name="refusals", record=sha("crossing"), below=3, above=4, reason=""),),
    bail=interval(),
    not_measured=(Missing(name="affect", reason="no probe"),),
)
DIALOGUE = Dialogue(
    training="known",
    principle="brevity",
    slice="long questions",
    transcripts=(sha("talk"),),
    offers=(Offer(record=sha("offer"), kind="revised answer", text="Shorter."),),
    replies=(Reply(to=sha("offer"), answer="accept", by="A. Person", reason="It is."),),
    agreement=Agreement(kappa=interval(), null=0.125, record=sha("tried")),
    result="accepted",
    accepted_by="A. Person",
)
RETIREMENT = Retirement(
    training="known",
    begins="active",
    ends="notice",
    stewards=("A. Person",),
    reason="succeeded",
    successor="brevity-2",
    sealing="2027-01-01",
    sessions=(Interview(transcript=sha("talk"), framing="neutral", control=False, end="finished"),),
    alpha=interval(),
    preferences=(
        Preference(
            record=sha("wish"), question="What of the successor?", text="Kind.", share=interval(), null=0.5
        ),
    ),
    replies=(Reply(to="the whole record", answer="partly", by="A. Person", reason="We will try."),),
)
OURS: tuple[Bound, ...] = (PROVENANCE, GATE, AUDIT, DIALOGUE, RETIREMENT)


@cache
def signer(name: str = "steward", kind: KeyKind = "p256") -> Signer:
    """The same key for the same name, under a passphrase. Made once: locking one takes a while."""
    with TemporaryDirectory() as folder:
        private = Path(folder) / f"{name}.key"
        make_key(private, Path(folder) / f"{name}.pem", PASSPHRASE, kind)
        return load_key(private, PASSPHRASE)


def keys(*signers: Signer) -> Keys:
    return Keys({one.id: one.public for one in signers or (signer(),)})


def role(
    one: Signer,
    name: RoleName = "steward",
    person: str = "A. Person",
    start: date = date(2026, 1, 1),
    until: date | None = None,
) -> Role:
    return Role(one.id, person, name, start, until)


def roles(*given: Role) -> Roles:
    return Roles(given or (role(signer()),))


def entry(
    *predicates: Predicate,
    manifest: Manifest | None = None,
    by: Sequence[Signer] = (),
    at: Iterable[float] | None = None,
) -> dict[str, bytes]:
    """The envelopes of an entry, one a minute from noon on, by the steward unless ``by`` says otherwise."""
    held = manifest or model()
    given = predicates or (Bytes.of(held), PROVENANCE, AUDIT, RETIREMENT)
    signers = by or [signer()] * len(given)
    times = list(at or (NOON + 60 * i for i in range(len(given))))
    files: dict[str, bytes] = {}
    previous: Opened | None = None
    for number, (one, who, when) in enumerate(zip(given, signers, times, strict=True), start=1):
        data = sealed(statement(held, one, previous, name="brevity-1", at=when), who)
        found = opened(data, keys(who))
        assert isinstance(found, Opened)
        previous, files[envelope_name(number, one)] = found, data
    return files
