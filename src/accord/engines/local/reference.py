"""Log-probabilities under the reference, kept on disk: rows from data come again with every epoch and run.

The key holds all that decides the numbers: the model's files, what they are computed with (dtype, device,
threads, torch), the tokens, which of them are answers, temperature and allowed tokens. Any change misses.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from accord.folders import models_folder

if TYPE_CHECKING:
    import torch

    from accord.engines.local.models import Opened
    from accord.records import Sequence as Masked
    from accord.records.rows import Floats

__all__ = ["ReferenceCache"]


class ReferenceCache:
    """One file for each model and dtype; a file that cannot be opened or is damaged is done without."""

    def __init__(self, file: Path, about: str) -> None:
        self._file, self._about = file, about
        self._known: dict[str, Floats] = {}

    @classmethod
    def of(cls, opened: Opened, dtype: torch.dtype, way: str = "") -> Self:
        """The cache for this model, computed in this dtype and ``way`` as this machine does it now."""
        import torch

        from accord.engines.local.models import manifest_digest, model_manifest

        machine = f"{dtype}/{opened.model.device.type}/{torch.get_num_threads()}/{torch.__version__}"
        about = f"{manifest_digest(model_manifest(opened.folder))}/{opened.template_digest}/{machine}{way}"
        name = hashlib.sha256(about.encode()).hexdigest()[:24]
        return cls(models_folder().parent / "reference" / f"{name}.sqlite", about)

    def lacking(self, sequences: Sequence[Masked]) -> list[Masked]:
        """Those that no pass has measured yet, each once: what ``fill`` will ask for."""
        lacking = {k: s for s in sequences if (k := self._key(s)) not in self._known}
        stored = self._read(list(lacking))
        self._known.update({k: v for k, v in stored.items() if len(v) == sum(lacking[k].answer)})
        return [s for k, s in lacking.items() if k not in self._known]

    def fill(
        self, sequences: Sequence[Masked], measure: Callable[[Sequence[Masked]], list[Floats]]
    ) -> list[Floats]:
        """One array per sequence; only those that no pass has measured yet are measured."""
        if new := self.lacking(sequences):
            found = dict(zip(map(self._key, new), measure(new), strict=True))
            self._known.update(found)
            self._write(found)
        return [self._known[self._key(s)] for s in sequences]

    def _key(self, sequence: Masked) -> str:
        text = json.dumps([self._about, *sequence])
        return hashlib.sha256(text.encode()).hexdigest()

    def _read(self, keys: Sequence[str]) -> dict[str, Floats]:
        if not keys or not self._file.is_file():
            return {}
        found: dict[str, Floats] = {}
        try:
            with closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True, timeout=30)) as store:
                for key in keys:
                    row = store.execute("SELECT logp FROM reference WHERE key = ?", (key,)).fetchone()
                    if row is not None:
                        found[key] = np.frombuffer(row[0], dtype=np.float64)
        except (sqlite3.Error, TypeError, ValueError):
            return {}  # a cache is never needed: what it cannot give is measured
        return found

    def _write(self, found: dict[str, Floats]) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._file, timeout=30)) as store, store:
                store.execute(
                    "CREATE TABLE IF NOT EXISTS reference (key TEXT PRIMARY KEY, logp BLOB NOT NULL)"
                )
                rows = [(key, values.tobytes()) for key, values in found.items()]
                store.executemany("INSERT OR IGNORE INTO reference VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError):
            return
