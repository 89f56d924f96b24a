"""What `journal_cost.py` says, on few boxes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import journal_cost

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_edit_is_measured_with_and_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    assert journal_cost.main(["--boxes", "400", "--edits", "3", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [row["what"] for row in rows] == [
        f"an edit among 400 boxes in {count} tracks" for count in (1, 200)
    ]
    assert "| 1 | " in capsys.readouterr().out
    sizes = [int(row["measured"].split()[0]) for row in rows]
    assert all(0 < size < journal_cost.MOST_BYTES for size in sizes)
