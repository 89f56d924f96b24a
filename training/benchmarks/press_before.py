"""J of the state before, kept: the same commit and seed give it again, so it is measured once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baseline import BASELINE
from clips import boxes_from_masks
from maskfree.storage import atomic_write
from maskfree.tracks import boxes_to_json

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KEPT", "keep", "kept"]

KEPT = Path(__file__).with_name("press_before.json")
"""``{"commit": "…", "clips": {NAME: {"boxes": digest, "j": {SEED: J}}}}``."""


def kept(clip: Path, every: int, path: Path = KEPT) -> dict[int, float]:
    """Return J by seed of runs of the commit before on the same boxes, as far as it is known."""
    known = _read(path).get(clip.name, {})
    if known.get("boxes") != _digest(clip, every):
        return {}
    return {int(seed): float(j) for seed, j in known["j"].items()}


def keep(clip: Path, every: int, found: Iterable[tuple[int, float]], path: Path = KEPT) -> None:
    """Write J by seed beside what is known."""
    clips = _read(path)
    known = {**kept(clip, every, path), **dict(found)}
    rounded = {str(seed): round(j, 6) for seed, j in sorted(known.items())}
    clips[clip.name] = {"boxes": _digest(clip, every), "j": rounded}
    atomic_write(path, json.dumps({"commit": BASELINE, "clips": clips}, indent=1) + "\n")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["clips"] if content.get("commit") == BASELINE else {}


def _digest(clip: Path, every: int) -> str:
    """Tell clips of one name apart."""
    content = json.dumps(boxes_to_json(boxes_from_masks(clip, every)), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
