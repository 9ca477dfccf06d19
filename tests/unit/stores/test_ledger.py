"""Lines stand as written: what was torn is cut off, what was changed is refused, what is said stays.

Mutants these kill: a torn end that swallows the next line, a line that a text breaks in two, a line of
another kind taken in, a line changed by hand.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.errors import Unreadable
from accord.records import Decision, SignOff
from accord.stores.ledger import add_records, records_in

SIGNED = SignOff(check="raters", by="A", reason="one\u2028two \x85", plan="p")
PASSED = Decision(run="gate/p", step=0, action="continue", rule="gate")


def test_a_torn_end_is_cut_off_and_lines_stay_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "lines.jsonl"
    assert records_in(file, "a line", SignOff) == []
    add_records(file, [SIGNED])
    with file.open("ab") as end:
        end.write(b'{"kind": "decision", "id": "torn')
    assert records_in(file, "a line", SignOff, Decision) == [SIGNED], "never acknowledged"
    add_records(file, [PASSED, PASSED])
    assert records_in(file, "a line", SignOff, Decision) == [SIGNED, PASSED, PASSED]


def test_what_was_changed_or_is_none_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    add_records(file, [SIGNED, PASSED])
    with pytest.raises(Unreadable, match=r"lines\.jsonl:2: expected a sign-off\n  found: decision"):
        records_in(file, "a sign-off", SignOff)
    file.write_bytes(file.read_bytes().replace(b'"continue"', b'"halt"'))
    with pytest.raises(Unreadable, match=r"lines\.jsonl:2: expected a line\n  found: it was changed"):
        records_in(file, "a line", SignOff, Decision)
