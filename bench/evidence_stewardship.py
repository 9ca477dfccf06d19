"""Does stewarding keep what was held, does the gate refuse, and is what was kept still there? Writes
docs/evidence.md.

    python bench/evidence_stewardship.py [--only PART …] [--quick] [--anew] [--page-only]

The rows of "what must be shown" about stewardship and keeping. Every answer is appended to ``--results``
as soon as it is there; killed and started again, the command does what is missing. ``--quick`` asks the same
in a few places, to other rows, without a model, and writes no page unless ``--page`` names one. ``--ci``:
what every change is asked, anew each time: flips, kills before every fifth step, forgeries, imports, and the
rate of a quarter of a gigabyte. ``--only`` takes parts by name: "proved by tests", "bit flips", "kills in
keeping", "forged statements", "refused imports", "archive size" (needs the model that ``accord pull``
brings), "verify rate" (needs 22 GB in memory), "verify rate, small", "the gate", "the path", "unlearnt". What
this machine cannot run is named and left out. Exit code 1 where an answer of this call is not as designed.
The page has two other parts, by ``make evidence`` and ``make evidence-feedback``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from proofs.command import Asking, answered
from proofs.stewardship_parts import CI, FULL, QUICK, lacking, parts
from proofs.whole import STEWARDSHIP, whole

_SIZES = {one.word: one for one in (FULL, QUICK, CI)}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what is missing, then write the page."""
    return answered(
        Asking(
            __doc__ or "",
            lambda size, scratch: parts(_SIZES[size], scratch),
            lacking,
            STEWARDSHIP,
            lambda quick, results: whole(quick=quick, stewardship=results),
        ),
        argv,
    )


if __name__ == "__main__":
    sys.exit(main())
