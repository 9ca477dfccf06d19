"""The wheel holds what it should, and without torch everything but training works."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from shape import tree

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "safetensors",
    "gguf",
    "huggingface_hub",
    "tokenizers",
)

# Runs first in each subprocess: Python as it is where the packages of accord[train] are not installed.
WITHOUT = f"""
import re, sys
from importlib.machinery import PathFinder
class Light(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {HEAVY!r} else super().find_spec(name, path, target)
    @classmethod
    def find_distributions(cls, *arguments, **named):
        found = super().find_distributions(*arguments, **named)
        return (d for d in found if re.sub("[-.]+", "_", d.metadata["Name"]).lower() not in {HEAVY!r})
sys.meta_path[:] = [Light if finder is PathFinder else finder for finder in sys.meta_path]
"""
HEAVY_MODULES = ("accord.engines.local.", "accord.engines.ranks.", "accord.maths.tensor.")
IMPORT_ALL = """
import importlib, json, pkgutil, accord
names = [m.name for m in pkgutil.walk_packages(accord.__path__, "accord.", onerror=lambda name: None)]
failed = {}
for name in names:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = error.name
print(json.dumps({"at": accord.__file__, "names": names, "failed": failed}))
"""
STORE_AND_BACK = """
from accord.records import Prompt, Response
from accord.stores import MemoryStore, SqlStore
for store in (MemoryStore(), SqlStore("sqlite:///store.db")):
    prompt = Prompt.of("Why?")
    answer = Response(prompt=prompt.id, text="So.", parents=(prompt.id,))
    store.put(prompt, answer)
    assert store.get(answer.id) == answer
    assert [r.id for r in store.lineage(answer.id)] == [answer.id, prompt.id]
"""


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(at)
    return at


def python(code: str, *arguments: str, site: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    head = f"{WITHOUT}\nsys.path.insert(0, {str(site)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_the_wheel_holds_what_is_committed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("accord/")}
    committed = {p.relative_to(tree.SRC.parent).as_posix() for p in tree.sources_and_data()}
    assert names == committed


def test_every_light_module_imports(installed: Path, tmp_path: Path) -> None:
    done = python(IMPORT_ALL, site=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["at"]).is_relative_to(installed), "the tested package is not the one from the wheel"
    assert {"accord.plan", "accord.catalog", "accord.cli", "accord.stores.sql"} <= set(found["names"])
    assert set(found["failed"].values()) <= set(HEAVY)
    stray = [name for name in found["failed"] if not name.startswith(HEAVY_MODULES)]
    assert not stray, f"modules that need torch outside engines and maths.tensor: {stray}"
    assert any(name.startswith(HEAVY_MODULES) for name in found["failed"]), (
        "nothing was kept from importing torch"
    )


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["--version"],
        ["doctor"],
        *([name, "--help"] for name in ("run", "report", "label", "serve")),
    ],
)
def test_commands_answer_without_torch(command: list[str], installed: Path, tmp_path: Path) -> None:
    done = python("from accord.cli import main; sys.exit(main())", *command, site=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip()
    assert "Traceback" not in done.stdout + done.stderr


def test_the_doctor_says_that_torch_is_absent(installed: Path, tmp_path: Path) -> None:
    done = python("from accord.cli import main; sys.exit(main())", "doctor", site=installed, cwd=tmp_path)
    assert "torch" in done.stdout
    assert "accord[train]" in done.stdout


def test_a_store_works_without_torch(installed: Path, tmp_path: Path) -> None:
    done = python(STORE_AND_BACK, site=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_shipped_plan_checks_without_torch(installed: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; import accord\n"
        "from accord.catalog import check; from accord.plan import read_plan\n"
        "plans = sorted((Path(accord.__file__).parent / 'data' / 'plans').glob('**/*.toml'))\n"
        "assert plans\n"
        "for plan in plans: check(read_plan(plan))"
    )
    done = python(code, site=installed, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_training_without_torch_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    plan = 'name = "p"\npurpose = "explore"\nmodel = "nowhere"\n[[stage]]\nname = "s"\nwindows = 1\n'
    plan += 'source = { name = "offline", data = "d.jsonl" }\nmethod = { name = "sft" }\n'
    (tmp_path / "plan.toml").write_text(plan)
    (tmp_path / "d.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    done = python(
        "from accord.cli import main; sys.exit(main())", "run", "plan.toml", site=installed, cwd=tmp_path
    )
    assert done.returncode in (1, 2)
    assert "accord[train]" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
