"""What a part of the benchmark writes for `bench.py`: whole, or not at all, also half-way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["write_result"]


def write_result(path: Path | None, title: str, rows: Sequence[dict[str, Any]], text: str) -> None:
    """Write a part's result in place of the one that was there; None: nowhere.

    A part that takes long does so after each thing that it has measured: where it is stopped, that
    is not lost.
    """
    if path is None:
        return
    temporary = path.with_name(f"{path.name}.part")
    content = {"title": title, "rows": list(rows), "text": text}
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(path)
