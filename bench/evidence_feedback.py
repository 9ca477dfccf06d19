"""Do judgments say what they claim, and is nothing lost that people said? Writes docs/evidence.md.

    python bench/evidence_feedback.py [--only PART …] [--quick] [--anew] [--page-only]

Every row of "what must be shown" about feedback. Every answer is appended to ``--results`` as soon as it is
there; killed and started again, the command does what is missing. ``--quick`` asks the same with a few
simulations and raters, to other rows, and writes no page unless ``--page`` names one. ``--ci``: what every
change is asked and no test can be, raters for a minute and five kills, anew each time. ``--only`` takes parts
by name: "proved by tests", "ratings cover", "alphas cover", minority, "two groups", "agreement page",
"planted choice" (needs ACCORD_DATA), market, raters, "raters, 60 s", "kills in a submit". What this machine
cannot run is named and left out. Exit code 1 where an answer of this call is not as designed. The page has
two other parts, by ``make evidence`` and ``make evidence-stewardship``; each writes all of what was found.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from proofs.command import Asking, answered
from proofs.feedback_parts import CI, FULL, QUICK, lacking, parts
from proofs.whole import FEEDBACK, whole

_SIZES = {one.word: one for one in (FULL, QUICK, CI)}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is missing, then write the page."""
    return answered(
        Asking(
            __doc__ or "",
            lambda size, _: parts(_SIZES[size]),
            lacking,
            FEEDBACK,
            lambda quick, results: whole(quick=quick, feedback=results),
        ),
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
