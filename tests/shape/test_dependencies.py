"""pyproject.toml names what src imports, no more and no less, and constraints.txt pins all of it."""

from __future__ import annotations

import ast
import re
import sys
import tomllib

from shape import tree

# Imported under another name than that of the package.
NAMED = {"yaml": "pyyaml", "markdown_it": "markdown-it-py"}
# What is used without an import of ours, and by whom.
UNSEEN = {
    "gguf": "transformers reads GGUF files with it",
    "accelerate": "peft and transformers place modules with it",
    "psycopg": "SQLAlchemy loads it for postgresql addresses",
    "mlflow-skinny": "imported by name when a run is tracked with mlflow",
    "tensorboard": "imported by name when a run is tracked with tensorboard",
    "trackio": "imported by name when a run is tracked with trackio",
    "scikit-learn": "imported by name for its images of digits",
    "wandb": "imported by name when a run is tracked with wandb",
}
# Extras that no target of make installs: the tests stand in for them, and their versions are the user's.
UNPINNED = {"trackers"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=!~; ]", name.strip())[0]).lower()


def declared() -> dict[str, set[str]]:
    project = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    forms = {"light": project["project"]["dependencies"], **project["project"]["optional-dependencies"]}
    forms["dev"] = project["dependency-groups"]["dev"]
    return {form: {normal(line) for line in lines} for form, lines in forms.items()}


def imported() -> set[str]:
    found: set[str] = set()
    for path in tree.sources("src"):
        for node in ast.walk(tree.syntax(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                found.add(node.module.split(".")[0])
    found = {NAMED.get(name, name) for name in found}
    own = {"accord", "__future__", *sys.stdlib_module_names}
    return {normal(name) for name in found - own}


def test_every_import_is_declared() -> None:
    shipped = set[str]().union(*(names for form, names in declared().items() if form != "dev"))
    assert not imported() - shipped - _beneath(), "imported, but pyproject.toml does not name it"


def _beneath() -> set[str]:
    """Parts of a declared package that are imported under a name of their own."""
    return {"pydantic-core"}


def test_every_dependency_is_used() -> None:
    shipped = set[str]().union(*(names for form, names in declared().items() if form != "dev"))
    assert not shipped - imported() - set(UNSEEN), "declared, but nothing imports it"
    assert set(UNSEEN) <= shipped


def test_every_dependency_is_pinned() -> None:
    lines = (tree.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {normal(line) for line in lines if not line.startswith("#")}
    forms = {form: names for form, names in declared().items() if form not in UNPINNED}
    assert len(forms) == len(declared()) - len(UNPINNED), "an extra that is not pinned is gone"
    assert not set[str]().union(*forms.values()) - pinned


def test_every_tracker_has_its_package_in_the_extra() -> None:
    from accord.stores.foreign.trackers import TRACKERS

    needed = {name if name != "mlflow" else "mlflow-skinny" for name, _ in TRACKERS.values()}
    assert needed == declared()["trackers"]
