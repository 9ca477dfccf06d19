"""docs/evidence.md: one page of three ledgers. Each command writes all of it, of whatever stands in them."""

from __future__ import annotations

from pathlib import Path

from proofs import feedback_parts, parts, stewardship_parts
from proofs.feedback_page import half
from proofs.ledger import ROOT, Ledger, Row
from proofs.page import page
from proofs.stewardship_page import third

__all__ = ["FEEDBACK", "GUARD", "PAGE", "STEWARDSHIP", "whole"]

GUARD = ROOT / "bench" / "results" / "evidence.jsonl"
FEEDBACK = ROOT / "bench" / "results" / "evidence-feedback.jsonl"
STEWARDSHIP = ROOT / "bench" / "results" / "evidence-stewardship.jsonl"
PAGE = ROOT / "docs" / "evidence.md"


def whole(
    *,
    quick: bool = False,
    guard: Path = GUARD,
    feedback: Path = FEEDBACK,
    stewardship: Path = STEWARDSHIP,
) -> str:
    """Markdown. ``quick``: of the quick rows of all ledgers, and of no others."""
    size = parts.QUICK if quick else parts.FULL
    # Nothing is answered here, so nothing is made in the folder.
    written = [page(_of(guard, size.word), parts.parts(size, ROOT))]
    asked = feedback_parts.QUICK if quick else feedback_parts.FULL
    written.append(half(_of(feedback, asked.word), feedback_parts.parts(asked)))
    kept = stewardship_parts.QUICK if quick else stewardship_parts.FULL
    written.append(third(_of(stewardship, kept.word), stewardship_parts.parts(kept)))
    return "\n".join(written)


def _of(ledger: Path, size: str) -> list[Row]:
    return [row for row in Ledger(ledger).rows() if row.size == size]
