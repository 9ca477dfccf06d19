"""How fast ``accord verify`` reads an archive again, beside SHA-512 alone.

``python bench/verify.py [--gb .25] [--threads 2] [--rounds 3]`` keeps random weights of that size in an
archive below the folder for temporary files, reads them again with so many threads, and prints the best round
as a share of threads × what hashlib's SHA-512 does in this process over bytes in memory (target: .85).
All is read from the disk, not from what memory still holds of it; ``TMPDIR=/dev/shm`` leaves the disk out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from accord.keep.archive import Archive, Why
from accord.keep.manifest import CHUNK
from accord.keep.verifying import Wanted, verify

TENSOR = 16 << 20
URN = "urn:accord:family:bench"


class Rate(NamedTuple):
    """Bytes a second that ``accord verify`` reads again, and that SHA-512 ``alone`` does in one thread."""

    gb: float
    threads: int
    verified: float
    alone: float

    @property
    def share(self) -> float:
        return self.verified / (self.threads * self.alone)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--gb", type=float, default=0.25)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--rounds", type=int, default=3)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = rate(given.gb, given.threads, given.rounds, Path(folder))
    print(
        f"verify {given.gb:g} GB, {given.threads} threads: {found.verified / 2**30:.2f} GiB/s; SHA-512 alone "
        f"{found.alone / 2**30:.2f} GiB/s; share {found.share:.2f}"
    )


def rate(gb: float, threads: int, rounds: int, folder: Path) -> Rate:
    """The best of so many rounds, of each, in an archive in ``folder``."""
    archive = Archive.make(folder / "archive", time.time)
    archive.add(URN, {"m.safetensors": weights(folder, gb)}, Why("bench", "bench"), whole=True)
    wanted = Wanted(every=True, threads=threads)
    verified = max(measure(archive.folder, wanted) for _ in range(rounds))
    return Rate(gb, threads, verified, max(hashed() for _ in range(rounds)))


def weights(folder: Path, gb: float) -> Path:
    """Random tensors of 16 MiB each."""
    number = max(1, round(gb * 1e9 / TENSOR))
    header = {
        f"layer.{n:05d}": {"dtype": "U8", "shape": [TENSOR], "data_offsets": [n * TENSOR, (n + 1) * TENSOR]}
        for n in range(number)
    }
    text = json.dumps(header).encode()
    file = folder / "m.safetensors"
    with file.open("wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for _ in range(number):
            out.write(os.urandom(TENSOR))
    return file


def measure(archive: Path, wanted: Wanted) -> float:
    """Bytes a second."""
    began = time.perf_counter()
    found = verify(archive, wanted, time.time)
    assert not [fault for fault in found.faults if fault.kind == "contradicted"], found.faults
    return found.size / (time.perf_counter() - began)


def hashed() -> float:
    """Bytes a second of SHA-512 over a buffer in memory."""
    buffer, total = os.urandom(CHUNK), 64 * CHUNK
    sha512 = hashlib.sha512()
    began = time.perf_counter()
    for _ in range(total // CHUNK):
        sha512.update(buffer)
    return total / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
