"""docs/evidence.md: one page of two ledgers. Either command writes all of it, of whatever stands in both."""

from __future__ import annotations

from pathlib import Path

from proofs import feedback_parts, parts
from proofs.feedback_page import half
from proofs.ledger import ROOT, Ledger
from proofs.page import page

__all__ = ["FEEDBACK", "GUARD", "PAGE", "whole"]

GUARD = ROOT / "bench" / "results" / "evidence.jsonl"
FEEDBACK = ROOT / "bench" / "results" / "evidence-feedback.jsonl"
PAGE = ROOT / "docs" / "evidence.md"


def whole(*, quick: bool = False, guard: Path = GUARD, feedback: Path = FEEDBACK) -> str:
    """Markdown. ``quick``: of the quick rows of both ledgers, and of no others."""
    size = parts.QUICK if quick else parts.FULL
    asked = feedback_parts.QUICK if quick else feedback_parts.FULL
    first = [row for row in Ledger(guard).rows() if row.size == size.word]
    second = [row for row in Ledger(feedback).rows() if row.size == asked.word]
    # Nothing is answered here, so nothing is made in the folder.
    return page(first, parts.parts(size, ROOT)) + "\n" + half(second, feedback_parts.parts(asked))
