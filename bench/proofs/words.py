"""Tables and shares in Markdown, and what rows of a ledger cost."""

from __future__ import annotations

from collections.abc import Sequence

from proofs.ledger import Row, code_digest

from accord.maths.intervals import clopper_pearson

__all__ = ["cost", "share", "table"]


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    rule = "|" + "---|" * len(head)
    body = ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]
    return "\n".join(["| " + " | ".join(head) + " |", rule, *body]) + "\n"


def share(seen: int, of: int) -> str:
    """A count, with its interval."""
    if not of:
        return "–"
    found = clopper_pearson(seen, of)
    if not seen:
        return f"0/{of:,} (at most {clopper_pearson(0, of, 0.9).high:.2%})"
    return f"{seen:,}/{of:,} ({found.low:.2%}–{found.high:.2%})"


def cost(rows: Sequence[Row], target: str) -> str:
    """What ``make TARGET`` took, part by part, and how many rows are of other code than there is now."""
    parts: dict[str, list[Row]] = {}
    for row in rows:
        parts.setdefault(row.part, []).append(row)
    lines = [
        [f"`{name}`", f"{min(r.seed for r in own)}–{max(r.seed for r in own)}", len(own),
         f"{sum(r.seconds for r in own) / 60:.2f}"]
        for name, own in parts.items()
    ]  # fmt: skip
    lines.append(["all", "", len(rows), f"{sum(row.seconds for row in rows) / 60:.1f}"])
    codes = {name: code_digest(name) for name in parts}
    old = sum(row.code != codes[row.part] for row in rows)
    note = f"\n{old} of {len(rows)} rows were made by an earlier state of the code they hang on.\n"
    script, ledger = f"bench/{target.replace('-', '_')}.py", f"bench/results/{target}.jsonl"
    return (
        f"`make {target}`, or `python {script} --only PART`; minutes are of one core. Every row, with its "
        f"seed: [{ledger}](../{ledger}).\n\n"
        + table(["part", "seeds", "rows", "minutes"], lines)
        + (note if old else "")
    )
