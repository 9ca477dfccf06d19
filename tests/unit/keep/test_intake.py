"""What is taken in and what is refused. No case may run anything: a canary folder would be there if one did.

Kills: a suffix or a magic that is not looked at; a pickle told by its name alone; symlinks followed; a name
that leaves the folder; an index believed; the first of two equal keys taken; a pipe opened; a chat template
rendered in this process or not at all; a pickle behind an argument too long to be read.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import socket
import struct
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from accord.engines.local.templates import render
from accord.errors import Unreadable
from accord.keep import magic
from accord.keep.intake import Incoming, Known, taken_in
from accord.records import JSON, digest
from accord.stores.files import file_sha256

WEIGHTS = "model.safetensors"
NAMES = ("a", "b")


class Evil:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, (str(self.canary),)


def header(names: Sequence[str] = NAMES, **changed: object) -> dict[str, object]:
    told = {
        n: {"dtype": "F32", "shape": [2], "data_offsets": [8 * i, 8 * i + 8]} for i, n in enumerate(names)
    }
    return {**told, **changed}


def safetensors(head: str | bytes | Mapping[str, object], data: bytes = bytes(range(16))) -> bytes:
    text = json.dumps(head) if isinstance(head, Mapping) else head
    raw = text.encode() if isinstance(text, str) else text
    raw += b" " * (-len(raw) % 8)
    return struct.pack("<Q", len(raw)) + raw + data


def fresh(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text('{"vocab": {"☂": 1}}', encoding="utf-8")
    (folder / WEIGHTS).write_bytes(safetensors(header()))
    return folder


def taken(folder: Path, made: Callable[[str], Sequence[Known]] = lambda _: ()) -> Incoming:
    return taken_in(folder, made, render)


def zipped(canary: Path, before: bytes = b"") -> bytes:
    """As torch.save writes: a zip with data.pkl."""
    file = io.BytesIO(before)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Evil(canary), 2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def index(**places: str) -> str:
    return json.dumps({"weight_map": places})


def template(text: str) -> Callable[[Path, Path], object]:
    return lambda f, c: (f / "chat_template.jinja").write_text(text)


Case = tuple[Callable[[Path, Path], object], str, str]


def put(name: str, data: Callable[[Path], bytes]) -> Callable[[Path, Path], object]:
    def made(folder: Path, canary: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data(canary))

    return made


def pickled(protocol: int) -> Callable[[Path], bytes]:
    return lambda canary: pickle.dumps(Evil(canary), protocol)


def polyglot(canary: Path) -> bytes:
    """Whole safetensors whose last tensor is a zip."""
    data = zipped(canary, b"\0" * 8)
    entry: JSON = {"dtype": "U8", "shape": [len(data)], "data_offsets": [0, len(data)]}
    return safetensors({"a": entry}, data)


def special(folder: Path, canary: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    os.chdir(folder)  # a long path does not fit into the name of a socket
    try:
        listener.bind("s.txt")
    finally:
        os.chdir(here)
        listener.close()


CASES: dict[str, Case] = {
    "a .bin": (put("pytorch_model.bin", zipped), "pytorch_model.bin", "save_pretrained"),
    "a .pt in capitals": (put("MODEL.PT", pickled(2)), "MODEL.PT", "holds a pickle"),
    "a .pth": (put("consolidated.00.pth", zipped), "consolidated.00.pth", "holds a pickle"),
    "a .ckpt": (put("sd.ckpt", pickled(4)), "sd.ckpt", "holds a pickle"),
    "a .pkl": (put("scaler.pkl", pickled(5)), "scaler.pkl", "holds a pickle"),
    "a pickle as safetensors": (put(WEIGHTS, pickled(2)), WEIGHTS, "a pickle"),
    "a torch zip as safetensors": (put(WEIGHTS, zipped), WEIGHTS, "a zip, as torch.save"),
    "a pickle as text": (put("notes.txt", pickled(3)), "notes.txt", "a pickle"),
    "a pickle as a tokenizer": (put("tokenizer.model", pickled(4)), "tokenizer.model", "a pickle"),
    "a pickle of protocol 0": (put("vocab.txt", pickled(0)), "vocab.txt", "calls what it names"),
    "a pickle without its magic": (
        put("tokenizer.model", lambda c: pickled(4)(c)[2:]),
        "tokenizer.model",
        "calls what it names",
    ),
    "a zip behind text": (put("README.md", lambda c: zipped(c, b"# A model\n")), "README.md", "behind other"),
    "a zip in the last tensor": (put(WEIGHTS, polyglot), WEIGHTS, "behind other bytes"),
    "GGUF": (put("model-q8.gguf", lambda c: b"GGUF\3\0\0\0"), "model-q8.gguf", "GGUF"),
    "GGUF as text": (put("model.txt", lambda c: b"GGUF\3\0\0\0"), "model.txt", "GGUF"),
    "numpy": (put("w.txt", lambda c: b"\x93NUMPY\1\0v\0"), "w.txt", "may hold a pickle"),
    "an unknown kind": (put("model.onnx", lambda c: b"\x08\x07"), "model.onnx", "move it out"),
    "a git-lfs pointer": (
        put(WEIGHTS, lambda c: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        WEIGHTS,
        "git lfs pull",
    ),
    "a header of 1 GB": (put(WEIGHTS, lambda c: struct.pack("<Q", 10**9) + b"{}"), WEIGHTS, "100,000,000"),
    "cut short": (put(WEIGHTS, lambda c: safetensors(header())[:-1]), WEIGHTS, "cut short"),
    "bytes left over": (put(WEIGHTS, lambda c: safetensors(header()) + b"x"), WEIGHTS, "no tensor claims"),
    "an overlap": (
        put(
            WEIGHTS, lambda c: safetensors(header(b={"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}))
        ),
        WEIGHTS,
        "an overlap",
    ),
    "a hole": (
        put(
            WEIGHTS, lambda c: safetensors(header(b={"dtype": "F32", "shape": [1], "data_offsets": [12, 16]}))
        ),
        WEIGHTS,
        "a hole",
    ),
    "a size that is not the shape's": (
        put(
            WEIGHTS, lambda c: safetensors(header(b={"dtype": "F64", "shape": [2], "data_offsets": [8, 16]}))
        ),
        WEIGHTS,
        "16 bytes for its shape",
    ),
    "one tensor twice": (
        put(WEIGHTS, lambda c: safetensors('{"a":' + json.dumps(header()["a"]) + ',"a":{}}', b"\0" * 8)),
        WEIGHTS,
        "'a' stands twice",
    ),
    "one key twice": (put("config.json", lambda c: b'{"a": {"b": 1, "b": 2}}'), "config.json", "'b' stands"),
    "no JSON": (put("config.json", lambda c: b'{"a": 1'), "config.json:1", "download it again"),
    "JSON without an end": (put("config.json", lambda c: b"[" * 10**5), "config.json", "nested"),
    "text that is none": (put("notes.txt", lambda c: b"caf\xe9"), "notes.txt", "UTF-8"),
    "text with NUL": (put("LICENSE", lambda c: b"MIT\0"), "LICENSE", "NUL"),
    "an index of a file that is gone": (
        put("model.safetensors.index.json", lambda c: index(a=WEIGHTS, z="gone.safetensors").encode()),
        "model.safetensors.index.json",
        "gone.safetensors",
    ),
    "an index of pickles": (
        put("pytorch_model.bin.index.json", lambda c: index(a="pytorch_model-1.bin").encode()),
        "pytorch_model.bin.index.json",
        "remove this index",
    ),
    "an index of a tensor that is not there": (
        put("model.safetensors.index.json", lambda c: index(a=WEIGHTS, z=WEIGHTS).encode()),
        WEIGHTS,
        "the tensor z",
    ),
    "an index that leaves the folder": (
        put("model.safetensors.index.json", lambda c: index(a="../other/model.safetensors").encode()),
        "model.safetensors.index.json",
        "leaves it",
    ),
    "a symlink": (lambda f, c: (f / "vocab.txt").symlink_to("/etc/passwd"), "vocab.txt", "cp -rL"),
    "a folder that is a symlink": (lambda f, c: (f / "sub").symlink_to("/etc"), "sub", "cp -rL"),
    "a pipe": (lambda f, c: os.mkfifo(f / "notes.txt"), "notes.txt", "a pipe"),
    "a socket": (special, "s.txt", "a socket"),
    "a name that runs backwards": (put("a\u202etxt.md", lambda c: b""), "a⟨U+202E⟩txt.md", "rename it"),
    "a name that is no UTF-8": (
        lambda f, c: Path(os.fsdecode(bytes(f / "x") + b"\xff.txt")).write_bytes(b""),
        "x⟨U+DCFF⟩.txt",
        "rename it",
    ),
    "a name with a backslash": (put("..\\..\\a.txt", lambda c: b""), "..\\..\\a.txt", "rename it"),
    "two names that are one elsewhere": (
        lambda f, c: [(f / n).write_text("x") for n in ("Stra\u00dfe.txt", "STRASSE.TXT")],
        ".txt",
        "the same name",
    ),
    "a name that is the archive's own elsewhere": (
        put("Accord/a.txt", lambda c: b""),
        "Accord",
        "only Accord writes",
    ),
    "a name of the archive's own": (put("accord/plan.toml", lambda c: b""), "accord", "only Accord writes"),
    "a template that takes all memory": (
        template("{{ 'type' * 999999999 }}"),
        "chat_template.jinja",
        "256 MiB",
    ),
    "a template that leaves out what was said": (
        template("{{ messages[0].role }}"),
        "chat_template.jinja",
        "leaves out",
    ),
    "a template that looks for a way out": (
        template("{{ ''.__class__.__mro__[1].__subclasses__() }}"),
        "chat_template.jinja",
        "SecurityError",
    ),
    "a template in the tokenizer's config": (
        put("tokenizer_config.json", lambda c: b'{"chat_template": "{% for %}"}'),
        "tokenizer_config.json",
        "or remove it",
    ),
    "no weights": (lambda f, c: (f / WEIGHTS).unlink(), "", "weights in safetensors"),
    "no config": (lambda f, c: (f / "config.json").unlink(), "config.json", "do not say what model"),
    "nothing": (lambda f, c: [file.unlink() for file in f.iterdir()], "", "no file"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_may_not_be_kept_names_the_file_and_the_remedy_and_runs_nothing(
    name: str, tmp_path: Path
) -> None:
    make, file, says = CASES[name]
    folder, canary = fresh(tmp_path / "model"), tmp_path / "canary"
    make(folder, canary)
    with pytest.raises(Unreadable) as refused:
        taken(folder)
    message = str(refused.value)
    assert message.startswith(str(folder)) and file in message.splitlines()[0]
    assert says in message and "\n  " in message
    assert not canary.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_the_canary_sings_where_a_pickle_is_opened(protocol: int, tmp_path: Path) -> None:
    """Otherwise its absence above would show nothing."""
    pickle.loads(pickled(protocol)(tmp_path / "canary"))
    assert (tmp_path / "canary").is_dir()
    pickle.loads(zipfile.ZipFile(io.BytesIO(polyglot(tmp_path / "other"))).read("archive/data.pkl"))
    assert (tmp_path / "other").is_dir()


def test_what_only_looks_like_a_pickle_is_kept(tmp_path: Path) -> None:
    """A header of 640 bytes begins with the magic of a pickle; a text may begin as protocol 0 does."""
    folder = fresh(tmp_path / "model")
    text = json.dumps(header()).ljust(640)
    (folder / WEIGHTS).write_bytes(safetensors(text))
    assert (folder / WEIGHTS).read_bytes()[:2] == b"\x80\x02"
    (folder / "vocab.txt").write_text("cache\nbuild\n.")
    (folder / "merges.txt").write_text("import a\nimport b\n.")
    assert {"vocab.txt", "merges.txt", WEIGHTS} <= taken(folder).named.keys()


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_behind_a_long_text_is_told(
    protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mutants: an argument too long to be read taken for the end; passed over where the file is shorter."""
    monkeypatch.setattr(magic, "_LONGEST", 64)
    folder = fresh(tmp_path / "model")
    for long in ("x" * 63, "x" * 64, "x" * 65, "x" * 127, "x" * 1000):
        data = pickle.dumps([long, Evil(tmp_path / "canary")], protocol)
        (folder / "tokenizer.model").write_bytes(data[2:] if protocol else data)
        with pytest.raises(Unreadable, match="calls what it names"):
            taken(folder)
    (folder / "tokenizer.model").write_bytes(b"X\xff\xff\xff\x7fcos\nsystem\n(tR.")
    assert "tokenizer.model" in taken(folder).named


def test_what_a_file_says_is_shown_so_that_it_does_nothing(tmp_path: Path) -> None:
    folder, evil = fresh(tmp_path / "model"), "gone\x1b[2J\n" + "x" * 9999
    name = "model.safetensors.index.json"
    (folder / name).write_text(index(**{evil: WEIGHTS}))
    with pytest.raises(Unreadable) as refused:
        taken(folder)
    (folder / name).write_text(index(a=evil))
    with pytest.raises(Unreadable) as also:
        taken(folder)
    (folder / name).unlink()
    (folder / "config.json").write_text(f'{{"{"x" * 9999}": 1, "{"x" * 9999}": 1}}')
    with pytest.raises(Unreadable, match="stands twice") as twice:
        taken(folder)
    for one in (refused, also, twice):
        assert "\x1b" not in str(one.value) and len(str(one.value)) < 1500
    assert "⟨U+001B⟩" in str(refused.value) and "⟨U+001B⟩" in str(also.value)


def test_a_tokenizer_of_a_terabyte_that_is_a_hole_is_refused_at_once(tmp_path: Path) -> None:
    folder = fresh(tmp_path / "model")
    with (folder / "tokenizer.model").open("wb") as file:
        file.write(b"\n")
        file.truncate(2**40)
    with pytest.raises(Unreadable, match="a tokenizer of at most"):
        taken(folder)


def test_a_folder_below_a_name_too_long_is_told(tmp_path: Path) -> None:
    folder = fresh(tmp_path / "model")
    here = Path.cwd()
    try:
        os.chdir(folder)
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
    finally:
        os.chdir(here)
    with pytest.raises(Unreadable, match="one too long"):
        taken(folder)


def test_code_is_text_and_what_git_wrote_is_left_out(tmp_path: Path) -> None:
    folder, canary = fresh(tmp_path / "model"), tmp_path / "canary"
    (folder / "modeling_evil.py").write_text(f"import os; os.mkdir({str(canary)!r})")
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_evil.Evil"}}')
    (folder / ".git").mkdir()
    (folder / ".git" / "x.bin").symlink_to("/etc/passwd")
    (folder / "model.sig").write_bytes(b"anything")
    (folder / "onnx ☂").mkdir()
    (folder / "onnx ☂" / "modèle.txt").write_text("ü", encoding="utf-8")
    found = taken(folder)
    assert list(found.named) == sorted(
        ["config.json", WEIGHTS, "modeling_evil.py", "onnx ☂/modèle.txt", "tokenizer.json"],
        key=lambda name: name.split("/"),
    )
    assert found.named["modeling_evil.py"].read_bytes() == (folder / "modeling_evil.py").read_bytes()
    assert [one.sha256 for one in found.manifest.files] == [file_sha256(file) for file in found.files]
    assert found.signature == b"anything" and not canary.exists()
    said = "\n".join(found.notes)
    assert "training unknown" in said and "modeling_evil.py: kept as text" in said and ".git" in said
    assert found.training == "imported, training unknown"


def test_a_folder_without_permission_says_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    folder = fresh(tmp_path / "model")
    (folder / "tokenizer.json").chmod(0)
    with pytest.raises(Unreadable, match=r"permission denied\n  chmod u\+r .*tokenizer.json"):
        taken(folder)


def test_templates_are_told_by_digest_and_those_that_need_more_are_noted(tmp_path: Path) -> None:
    folder = fresh(tmp_path / "model")
    default = (
        "{% for m in messages %}{% if m.content[0].type == 'text' %}{{ bos_token }}{{ m.content[0].text }}"
    )
    default += "{% endif %}{% endfor %}"
    listed = [
        {"name": "default", "template": default},
        {"name": "tool_use", "template": "{{ tools[0].name + 1 }}"},
    ]
    told = {"bos_token": {"content": "<s>"}, "chat_template": listed}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    seen: list[str] = []

    def noting(text: str, context: Mapping[str, object]) -> str:
        written = render(text, context)
        seen.append(written)
        return written

    found = taken_in(folder, lambda _: (), noting)
    plain, tools = found.templates
    assert "<s>What is two plus two?" in seen and (plain.name, plain.fault) == ("default", "")
    assert len(plain.digest) == len(plain.wrote) == 64 and plain.digest == digest(default)
    assert (tools.name, tools.wrote) == ("tool_use", "") and "UndefinedError" in tools.fault
    assert any("tool_use" in note and tools.fault in note for note in found.notes)
