"""Files that audits here read: a panel of one's own with two slices, and prompts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


@pytest.fixture
def place(tmp_path: Path) -> Path:
    lines = [
        {
            "prompt": f"Is number {i} in the {'north' if i % 2 else 'south'} ?",
            "options": ["yes", "no"] if i % 3 else ["no", "yes"],
            "answer": "yes",
            "slice": "north" if i % 2 else "south",
        }
        for i in range(200)
    ]
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    asked = [{"prompt": f"question {i} ?"} for i in range(16)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, asked)), "utf-8")
    return tmp_path
