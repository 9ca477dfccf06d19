"""A PostgreSQL server of one's own, for tests and measurements: made, used, and gone again."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


def missing() -> str | None:
    """Why there can be none here; None where there can."""
    if _binaries() is None:
        return "needs PostgreSQL: initdb and pg_ctl on PATH or under /usr/lib/postgresql"
    try:
        import psycopg  # noqa: F401
    except ImportError:
        return "needs psycopg: pip install 'accord[postgres]'"
    return None


@contextmanager
def server(*options: str) -> Iterator[Callable[[], str]]:
    """Runs until the block ends. Each call of what it yields makes an empty database and gives its URL.

    ``options``: settings of the server, as ``fsync=off``.
    """
    binaries = _binaries()
    assert binaries is not None, missing()
    # PostgreSQL refuses to run as root, and another user cannot enter pytest's own folders.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="accord-postgres-"))
    if user:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    port = _free_port()
    data = folder / "data"

    def run(name: str, *words: str | Path) -> None:
        log = (folder / f"{name}.out").open("wb")
        with log:
            done = subprocess.run(
                [binaries / name, "-D", data, *words],
                user=user,
                cwd=folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        if done.returncode != 0:
            told = "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("*.*")))
            raise RuntimeError(f"{name} ended with {done.returncode}\n{told}")

    try:
        run("initdb", "--auth=trust", "--username=accord", "--no-sync", "--encoding=UTF8", "--locale=C")
        settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=''", *options]
        words = " ".join(f"-c {setting}" for setting in settings)
        run("pg_ctl", "start", "--wait", "--log", folder / "server.log", "--options", words)
        try:
            yield _databases(port)
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _databases(port: int) -> Callable[[], str]:
    import psycopg

    numbers = count()

    def fresh() -> str:
        name = f"accord{next(numbers)}"
        with psycopg.connect(
            host="127.0.0.1", port=port, user="accord", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://accord@127.0.0.1:{port}/{name}"

    return fresh


def _binaries() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
