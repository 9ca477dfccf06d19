"""``accord doctor``: each lack is found, named and met with advice; nothing here is a traceback."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shutil
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from accord import doctor
from accord.doctor import Finding, examine
from accord.engines.pull import KNOWN


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(doctor, "_PROBE", "print('[\"2.6.0\", 3, []]')")
    return tmp_path / "cache"


def found(name: str) -> Finding:
    return next(finding for finding in examine() if finding.name == name)


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in packages else find(name))


def test_a_sound_machine_has_nothing_bad(cache: Path) -> None:
    findings = examine()
    assert [f for f in findings if f.status == "bad"] == []
    assert len({f.name for f in findings}) == len(findings)
    assert all(f.text for f in findings)
    assert all(f.advice for f in findings if f.status == "note" and f.name != "sqlite")
    assert list(cache.iterdir()) == []  # what was tried is gone


def test_windows_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert found("platform")[1:] == ("bad", found("platform").text, "use the Windows Subsystem for Linux")


def test_an_old_python_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert found("python").status == "bad"


def test_extras_are_read_from_the_package_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "numpy>=1.26",
        'numpy>=1.0; extra == "here"',
        "quipu>=2; extra == 'gone'",
        'numpy>=99.1; extra == "old"',
    ]
    monkeypatch.setattr(doctor, "requires", lambda _: needs)
    assert found("extra here").text == f"numpy {importlib.metadata.version('numpy')}"
    assert found("extra gone").text == "missing: quipu>=2"
    assert found("extra old").text == "missing: numpy>=99.1"
    assert found("extra gone").advice == f"{sys.executable} -m pip install 'accord[gone]'"


def test_without_torch_the_rest_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torch")
    assert found("torch").status == "note"
    assert found("torch").advice.endswith("pip install 'accord[train]'")


@pytest.mark.parametrize(
    ("probe", "text"),
    [
        (
            "raise ImportError('libomp.so: cannot open')",
            "cannot be imported: ImportError: libomp.so: cannot open",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "its process ended with -4"),
    ],
)
def test_a_torch_that_dies_is_a_finding(monkeypatch: pytest.MonkeyPatch, probe: str, text: str) -> None:
    without(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(doctor, "_PROBE", probe)
    finding = found("torch")
    assert (finding.status, text in finding.text) == ("bad", True)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_the_real_probe_tells_version_and_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (finding,) = doctor._torch()
    assert finding.text.startswith(f"{importlib.metadata.version('torch')}, 1 threads, ")


def test_bfloat16_is_read_from_the_processors_flags(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("model name\t: Quick\nflags\t\t: fpu avx512_bf16 amx_tile\n\nflags\t\t: fpu\n")
    (fast,) = doctor._processor(file)
    assert fast.status == "ok"
    assert fast.text.endswith("bfloat16 in hardware (amx_tile, avx512_bf16)")
    file.write_text("model name\t: Slow\nflags\t\t: fpu avx2\n")
    (slow,) = doctor._processor(file)
    assert (slow.status, slow.text[:4]) == ("note", "Slow")
    (none,) = doctor._processor(tmp_path / "none")
    assert none.status == "ok"


def test_memory_is_what_the_container_leaves(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  16777216 kB\nMemFree: 1 kB\nMemAvailable:  8388608 kB\n")
    (much,) = doctor._memory(tmp_path / "meminfo", tmp_path)
    assert much[1:3] == ("ok", "8.0 GiB of 16.0 GiB free")
    (tmp_path / "memory.max").write_text(f"{2 << 30}\n")
    (little,) = doctor._memory(tmp_path / "meminfo", tmp_path)
    assert little[1:3] == ("note", "2.0 GiB of 2.0 GiB free")
    (tmp_path / "memory.max").write_text("max\n")
    assert next(doctor._memory(tmp_path / "meminfo", tmp_path)) == much
    (any_system,) = doctor._memory(tmp_path / "none", tmp_path)
    assert "GiB free" in any_system.text


@pytest.mark.parametrize(
    ("value", "status"), [("", "ok"), ("1", "ok"), ("9999", "note"), ("many", "bad"), ("0", "bad")]
)
def test_threads_are_compared_with_cores(monkeypatch: pytest.MonkeyPatch, value: str, status: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert found("OMP_NUM_THREADS").status == status


def test_a_cache_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "file" / "cache"))
    assert found("cache").status == "bad"
    assert "ACCORD_CACHE" in found("cache").advice
    assert found("disk of the cache").status in ("ok", "note")
    assert found("sqlite").status == "note"


def test_a_full_disk_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    assert found("disk here").status == found("disk of the cache").status == "note"


def test_an_old_sqlite_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert found("sqlite").status == "bad"


def test_a_folder_without_write_ahead_logging_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda _: connect(":memory:")
    )  # answers "memory", as a network disk may
    finding = found("sqlite")
    assert finding.status == "bad"
    assert finding.text.endswith("memory")


def test_without_pip_the_other_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pip")
    assert found("pip").status == "note"
    assert "--wheel FILE" in found("pip").advice


def test_models_are_listed_and_their_small_files_compared(cache: Path) -> None:
    name = next(iter(KNOWN))
    assert found(f"model {name}").advice == f"accord pull {name}"
    folder = cache / "models" / name
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    files = {"config.json": {"bytes": 2, "sha256": digest}}
    (folder / "accord-model.json").write_text(json.dumps({"files": files}))
    assert found(f"model {name}")[1:3] == ("ok", "0.00 GiB; 1 of 1 digests compared")
    (folder / "config.json").write_text("[]")
    assert found(f"model {name}")[1:] == ("bad", "damaged: config.json", f"accord pull {name}")
    files["model.safetensors"] = {"bytes": 1 << 30, "sha256": ""}
    (folder / "config.json").write_text("{}")
    (folder / "accord-model.json").write_text(json.dumps({"files": files}))
    assert found(f"model {name}").text == "damaged: a file is missing or of another size"
    (folder / "accord-model.json").write_text("{")
    assert found(f"model {name}").status == "bad"


def test_a_look_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise OSError("no such thing")

    monkeypatch.setattr(doctor, "_cores", fails)
    assert found("processor")[1:3] == ("bad", "could not be examined: no such thing")
    assert found("sqlite").status == "ok"  # the others are looked at all the same
