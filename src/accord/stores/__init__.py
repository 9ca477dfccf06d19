"""Where records and files are kept (layer 3).

A run directory is the truth of its run: ``runlog.py`` writes and reads it, ``segments.py`` knows its lines.
``memory.py`` and ``sql.py`` are Stores; ``index.py`` fills the second from run directories. What people said
is kept in ``people/``, who they are in ``identity/``; these two and ``sql.py`` share ``database.py``, which
imports SQLAlchemy when a database is opened. ``blobs.py`` keeps files by digest; ``files.py`` is how every
part of Accord writes to disk. ``ledger.py`` keeps Records line by line, ``gates.py`` so what gates
decided; ``chronicle.py``: the folder of a stewardship. Not here: what the records mean, and who may read
them. ``memory.py`` is the example to follow.
"""

from __future__ import annotations

from accord.stores.blobs import Blobs
from accord.stores.files import disk, file_sha256, make_folder, promote, sync_folder, write_aside
from accord.stores.index import ImportReport, import_run
from accord.stores.memory import MemoryStore
from accord.stores.runlog import Clock, LogLine, LogView, RunLog, SystemClock, read_log
from accord.stores.sql import SqlStore

__all__ = [
    "Blobs",
    "Clock",
    "ImportReport",
    "LogLine",
    "LogView",
    "MemoryStore",
    "RunLog",
    "SqlStore",
    "SystemClock",
    "disk",
    "file_sha256",
    "import_run",
    "make_folder",
    "promote",
    "read_log",
    "sync_folder",
    "write_aside",
]
