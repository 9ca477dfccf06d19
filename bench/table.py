"""The table of ``docs/benchmarks.md``, made from ``bench/results``: ``python bench/table.py`` prints it.

The page holds it between cog marks, so ``make fix`` renews it and ``make check`` finds it stale. Of each case
and model the newest file counts. What was not measured says why; without parity there is no figure.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from compare.cases import CASES, Side, sides
from compare.results import LEAST, files, summary

RESULTS = Path(__file__).resolve().parent / "results"
HEAD = ("case", "side", "s/step", "tokens/s", "peak memory", "Accord is faster by", "target")
NAMES = {
    "accord": "Accord",
    "trl-default": "TRL, as it comes",
    "trl-tuned": "TRL, tuned",
    "generate": "transformers `generate`",
    "vllm": "vLLM on CPU",
}


def page(folder: Path = RESULTS) -> str:
    """One section per model: a table, what was tried and found, the machine."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for result in files(folder):
        newest[result.document["model"], result.document["case"]] = result.document
    if not newest:
        return "Nothing has been recorded yet: `python bench/engine.py` measures, this page follows.\n"
    parts: list[str] = []
    for model in sorted({model for model, _ in newest}, key=lambda name: (name == "tiny", name)):
        documents = [newest[model, case] for case in CASES if (model, case) in newest]
        parts += [f"### {model}\n", _table(documents), *_foot(documents)]
    return "\n".join(parts)


def _table(documents: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    for document in documents:
        case = CASES[document["case"]]
        figures = summary(dict(document))
        for number, side in enumerate(sides(case)):
            name = f"`{document['case']}`: {case.about}" if number == 0 else ""
            goal = 1.0 if document["model"] == "tiny" else case.targets.get(side.name)
            found = figures.get(side.name)
            cells = _cells(found, goal, side.name == "accord") if found else _none(goal, _why(document, side))
            lines.append(f"| {' | '.join((name, NAMES[side.name], *cells))} |")
    return "\n".join(lines) + "\n"


def _none(goal: float | None, why: str) -> tuple[str, ...]:
    """The cells of what has no figure.

    >>> _none(2.0, "no environment")
    ('not measured: no environment', '', '', '', '≥ 2')
    """
    return f"not measured: {why}", "", "", "", _aim(goal)


def _aim(goal: float | None) -> str:
    return "" if goal is None else f"≥ {goal:g}"


def _cells(found: Mapping[str, Any], goal: float | None, ours: bool) -> tuple[str, ...]:
    """Seconds, tokens, memory, ratio, target; Accord is not compared with itself."""
    low, high = found["ratios"]
    met = "" if goal is None else " ✓" if found["ratio"] >= goal else " ✗"
    return (
        f"{found['seconds']:.3g} ± {found['spread']:.2g}",
        f"{found['tokens_per_second']:,.0f}",
        f"{found['rss_mib']:,.0f} MiB",
        "" if ours else f"×{found['ratio']:.2f} ({low:.2f}–{high:.2f})",
        "" if ours else f"{_aim(goal)}{met}",
    )


def _why(document: Mapping[str, Any], side: Side) -> str:
    if document["parity"] and not document["parity"]["passed"]:
        return "parity failed"
    missing: Mapping[str, str] = document["missing"]
    return missing.get(side.name) or missing.get(side.environment) or f"fewer than {LEAST} steps so far"


def _foot(documents: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the figures hang on: parity, what tuning found, the machine, versions."""
    lines: list[str] = []
    for document in documents:
        parity = document["parity"]
        if "loss_gap" in parity:
            gaps = f"loss {parity['loss_gap']:.0e}, gradients {parity['gradient_gap']:.0e}"
            verdict = "" if parity["passed"] else ", over the limit: no figures"
            lines.append(f"- `{document['case']}`: float32 parity with TRL: {gaps} relative{verdict}.")
        tuned = {run["side"]: run["variant"] for run in document["runs"] if run["side"] != "accord"}
        found = [f"{NAMES[side]}: {variant}" for side, variant in sorted(tuned.items()) if variant]
        if tried := document.get("limited", {}).get("axes"):
            found.append(f"of what could make a peer faster only {' and '.join(tried)} were tried")
        if found:
            lines.append(f"- `{document['case']}`: {'; '.join(found)}.")
    machines = {_machine(document) for document in documents}
    return [*lines, *(f"- {machine}" for machine in sorted(machines)), ""]


def _machine(document: Mapping[str, Any]) -> str:
    where = document["environment"]
    versions: dict[str, str] = {}
    for run in document["runs"]:
        versions |= run["versions"]
    loads = [run["load_before"][0] for run in document["runs"]] or where["load"][:1]
    told = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"{document['began'][:10]}, {where['processor']}, {where['threads']} threads, {where['system']}; "
        f"load before a process at most {max(loads):.1f}; commit {where['commit'] or 'unknown'}; {told}."
    )


if __name__ == "__main__":
    sys.stdout.write(page())
