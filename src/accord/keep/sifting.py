"""Which files of a model's folder may be kept: told by name, kind and bytes, file by file.

Accepted: safetensors that are whole, JSON in which no key stands twice, tokenizer files, templates and other
text; Python is text here and never run. All else is Unreadable with the file, the reason and a remedy, before
anything is opened that could run. What git and the hub's client put beside a model is left out, and said.
GGUF is refused: the archive could neither take it apart nor load it again as it came.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import stat
import unicodedata
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple, cast

from accord.errors import Unreadable
from accord.keep.magic import foreign
from accord.keep.manifest import checked_name
from accord.keep.tensors import read_head
from accord.keep.untrusted import UNSEEN, once, shown
from accord.progress import Progress

__all__ = ["OURS", "SIGNATURE", "Sifted", "check_files", "read_json", "readable", "sifted"]

SIGNATURE = "model.sig"
OURS = "accord"  # the folder in which the archive puts what it knows of a model
_LEFT = frozenset({".git", ".gitattributes", ".gitignore", ".github", ".cache"})
_WEIGHTS, _INDEX = ".safetensors", ".safetensors.index.json"
_PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_TEXT = frozenset({".txt", ".md", ".rst", ".py", ".jinja", ".toml", ".yaml", ".yml", ".jsonl", ".cff", ""})
_TOKENS = frozenset({".bpe", ".merges", ".tiktoken", ".vocab"})  # text too
_TOKENIZER = frozenset({".model", ".spm"})  # protobuf of SentencePiece: bytes of which only magic is told
_CONFIGS = ("config.json", "adapter_config.json")
_LONGEST_JSON = 2**28
_LONGEST_WORD = 400  # characters of what a file says that go into a message
_CHUNK = 2**20
_KINDS = {
    stat.S_IFLNK: ("a symlink", "put the file itself there: cp -rL FOLDER COPY"),
    stat.S_IFIFO: ("a pipe", "remove it"),
    stat.S_IFSOCK: ("a socket", "remove it"),
    stat.S_IFBLK: ("a device", "remove it"),
    stat.S_IFCHR: ("a device", "remove it"),
}


class Sifted(NamedTuple):
    """The files that make up a model by name, those left out, and the signature that came along."""

    files: Mapping[str, Path]
    left: tuple[str, ...]
    signature: bytes | None


def sifted(folder: Path) -> Sifted:
    """What stands in ``folder``, none of it opened but the signature. Unreadable for names and kinds that
    cannot be kept."""
    with readable(folder):
        if not folder.is_dir():
            raise Unreadable(folder, "a folder that holds a model", "no such folder")
    files, left, plain = dict[str, Path](), list[str](), dict[str, str]()
    signature: bytes | None = None
    open_folders = [PurePosixPath()]
    while open_folders:
        inside = open_folders.pop()
        with readable(folder / inside):
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
        for entry in entries:
            name, path = inside / entry.name, Path(entry.path)
            if not inside.parts and entry.name in _LEFT:
                left.append(entry.name)
                continue
            _check_name(path, str(name), plain)
            with readable(path):
                kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
            if kind in _KINDS:
                what, remedy = _KINDS[kind]
                raise _refused(path, "a file or folder of its own", what, remedy)
            if kind == stat.S_IFDIR:
                open_folders.append(name)
            elif str(name) == SIGNATURE:
                signature = _signature(path)
            else:
                files[str(name)] = path
    _check_model(folder, files)
    return Sifted(dict(sorted(files.items())), tuple(left), signature)


def check_files(files: Mapping[str, Path], progress: Progress) -> None:
    """Read every file as what its name says. Unreadable names the first that is something else."""
    tensors: dict[str, frozenset[str]] = {}
    for name, file in files.items():
        progress.advance(1, name)
        with readable(file):
            found = foreign(file)
            if found is not None:
                raise _refused(file, "a file that cannot run code", found.what, found.remedy)
            if file.suffix == _WEIGHTS:
                tensors[name] = _tensors(file)
            elif file.suffix.lower() == ".json":
                read_json(file)
            elif file.suffix.lower() not in _TOKENIZER:
                _check_text(file)
            elif (size := file.stat().st_size) > _LONGEST_JSON:
                raise _refused(file, f"a tokenizer of at most {_LONGEST_JSON:,} bytes", f"{size:,}", _AWAY)
    for name, file in files.items():
        if name.endswith(".index.json"):
            _check_index(name, file, tensors)


def read_json(file: Path) -> object:
    """What a JSON file says. Unreadable where it is not UTF-8, not JSON, or says one key twice."""
    size = file.stat().st_size
    if size > _LONGEST_JSON:
        raise _refused(file, f"JSON of at most {_LONGEST_JSON:,} bytes", f"{size:,} bytes", "move it away")
    try:
        return json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=once)
    except RecursionError:
        raise _refused(file, "JSON", "it is nested without an end", _AGAIN) from None
    except ValueError as error:
        line = getattr(error, "lineno", None)
        found = f"{shown(str(error), _LONGEST_WORD)}\n  {_AGAIN}"
        raise Unreadable(shown(str(file)), "JSON in UTF-8, each key once", found, line) from None


@contextmanager
def readable(path: Path) -> Generator[None]:
    """A file or folder closed to this user, or of a name too long, as Unreadable. It is the one that the
    system names, and else ``path``."""
    try:
        yield
    except PermissionError as error:
        closed = Path(error.filename) if isinstance(error.filename, str) else path
        remedy = f"chmod u+{'rx' if os.path.isdir(closed) else 'r'} {closed}"  # noqa: PTH112 - never raises
        raise _refused(closed, "what this user may read", "permission denied", remedy) from None
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise _refused(path, "a name that the disk takes", "one too long", "move it further up") from None


_AGAIN = "copy or download it again"
_AWAY = (
    "Accord keeps safetensors, JSON, tokenizer files, .jinja and text; move it out of the folder to keep the "
    "model without it"
)


def _refused(file: Path, expected: str, found: str, remedy: str) -> Unreadable:
    expected, found = shown(expected, _LONGEST_WORD), shown(found, _LONGEST_WORD)
    return Unreadable(shown(str(file)), expected, f"{found}\n  {shown(remedy)}")


def _check_name(path: Path, name: str, plain: dict[str, str]) -> None:
    """A name must read the same everywhere: it is signed, and written again on other file systems."""
    odd = next((c for c in name if unicodedata.category(c) in UNSEEN or c == "\\"), None)
    if odd is not None:
        what = f"U+{ord(odd):04X} in it"
        raise _refused(path, "a name of visible characters in UTF-8, without a backslash", what, "rename it")
    folded = unicodedata.normalize("NFC", name).casefold()
    if folded in plain:
        what = f"{plain[folded]} has the same name where case and accents are not told apart"
        raise _refused(path, "a name of its own", what, "rename one of them")
    plain[folded] = checked_name(name)
    if folded == OURS:
        remedy = "rename it; only Accord writes there, what it archives beside a model"
        raise _refused(path, "another name", f"{OURS} is reserved", remedy)


def _signature(file: Path) -> bytes:
    with readable(file):
        if file.stat().st_size > _LONGEST_JSON:
            raise _refused(file, "a signature", f"more than {_LONGEST_JSON:,} bytes", "remove it")
        return file.read_bytes()


def _check_model(folder: Path, files: Mapping[str, Path]) -> None:
    """The names alone: what may not be kept, and what a model cannot lack."""
    for file in files.values():
        suffix = file.suffix.lower()
        if suffix in _PICKLED:
            what = f"{suffix} holds a pickle, which runs code when it is opened"
            remedy = (
                "leave it out where safetensors stand beside it; else load the model where you trust its "
                "origin, and write it with save_pretrained(DIR)"
            )
            raise _refused(file, "weights in safetensors", what, remedy)
        if suffix == ".gguf":
            remedy = "convert it: transformers reads GGUF, and save_pretrained(DIR) writes safetensors"
            raise _refused(
                file, "weights in safetensors", "GGUF, which the archive cannot load again", remedy
            )
        if file.suffix != _WEIGHTS and suffix not in _TEXT | _TOKENS | _TOKENIZER | {".json"}:
            raise _refused(file, "a file of a kind that can be kept", file.suffix, _AWAY)
    if not files:
        raise Unreadable(folder, "a model: a config and weights in safetensors", _runs(folder) or "no file")
    if not any(file.suffix == _WEIGHTS for file in files.values()):
        raise Unreadable(folder, "weights in safetensors", _runs(folder) or f"none\n  {_AGAIN}")
    if not any(config in files for config in _CONFIGS):
        found = "no such file: the weights alone do not say what model they are of"
        raise Unreadable(folder / _CONFIGS[0], "the config of a model", _runs(folder) or found)


def _runs(folder: Path) -> str:
    """Where ``folder`` is a run: the folders of its results."""
    if not (folder / "run.json").is_file():
        return ""
    models = [str(stage / "model") for stage in sorted(folder.iterdir()) if (stage / "model").is_dir()]
    return f"a run\n  keep the result of one of its stages: {', '.join(models) or 'none has finished yet'}"


def _tensors(file: Path) -> frozenset[str]:
    try:
        return frozenset(tensor.name for tensor in read_head(file).tensors)
    except Unreadable as error:
        raise _refused(file, error.expected, error.found, _AGAIN) from None


def _check_text(file: Path) -> None:
    """UTF-8 without NUL, read piece by piece."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with file.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            try:
                text = decoder.decode(piece)
            except UnicodeDecodeError as error:
                raise _refused(file, "text in UTF-8", str(error), _AWAY) from None
            if "\0" in text:
                raise _refused(file, "text", "a NUL byte: it is no text", _AWAY)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _refused(file, "text in UTF-8", str(error), _AWAY) from None


def _check_index(name: str, file: Path, tensors: Mapping[str, frozenset[str]]) -> None:
    """An index may name only files beside it that are there, and tensors that these hold."""
    table = read_json(file)
    places = cast("Mapping[str, object]", table).get("weight_map") if isinstance(table, dict) else None
    if not isinstance(places, dict) or not places:
        raise _refused(file, 'an object "weight_map" from tensor to file', "none", _AGAIN)
    for tensor, shard in cast("dict[str, object]", places).items():
        if not isinstance(shard, str) or PurePosixPath(shard).name != shard:
            what = f"{shard!r}, which leaves it"
            raise _refused(file, "names of files in the same folder", what, "take it from where it came")
        beside = str(PurePosixPath(name).with_name(shard))
        if beside not in tensors:
            remedy = "get the missing file; or remove this index, where the weights are whole without it"
            raise _refused(file, f"the file {shard} beside it", "no such file of weights", remedy)
        if tensor not in tensors[beside]:
            raise _refused(file.with_name(shard), f"the tensor {tensor}, as {file.name} says", "none", _AGAIN)
