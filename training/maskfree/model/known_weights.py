"""Weights that are known by name, and the SHA-256 that a file of that name must have.

A name may also state its own digest, as torch.hub and OpenMMLab have it: ``NAME-0676ba61.pth`` ends
in its first digits. What is pinned in full or in part is told here and nowhere else. A file of the
hub's cache is held against the digest under which the hub itself keeps it, too.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from maskfree.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KNOWN", "KNOWN_ON_HUB", "check_digest", "check_hub", "digest_of"]

KNOWN = {
    "resnet18-f37072fd": "f37072fd",
    "resnet34-b627a593": "b627a593",
    "resnet50-0676ba61": "0676ba61",
    "resnet50-11ad3fa6": "11ad3fa6",
    "resnet101-63fe2227": "63fe2227",
    "resnet101-cd907fc2": "cd907fc2",
}
"""Stem of the file to the first digits of its SHA-256; torchvision's ImageNet weights."""
KNOWN_ON_HUB = {
    "microsoft/resnet-18": {
        "model.safetensors": "1cf00ee468998c23d084361b02cffadabacb5074105564c596b8079f77ecb126",
    },
    "microsoft/resnet-50": {
        "model.safetensors": "9c6061af1f450bb0847e529fd742aa5066017be379c71bbf5546b198e5b13a1e",
        "pytorch_model.bin": "ff8163a1323333126706d649ce73ecd76e45d241b42d623dea6c723690cafe07",
    },
}
"""Repository of the hub to the SHA-256 of its files, as the hub's pages of these files state it:
https://huggingface.co/microsoft/resnet-50/blob/34c2154c194f829b11125337b98c8f5f9965ff19/model.safetensors
and its like."""
_STATED = re.compile(r".*-([0-9a-f]{8,64})")
_WHOLE = re.compile(r"[0-9a-f]{64}")
_CACHED = "blobs"
"""The folder of the hub's cache that holds files under their digests."""


def check_digest(path: Path) -> None:
    """Check a file whose name is known, or states its digest, against it.

    Raises
    ------
    InputError
        Where the file is another one.
    OSError
        Where it cannot be read.
    """
    wanted = _wanted(path)
    if not wanted:
        return
    found = digest_of(path)
    if not found.startswith(wanted):
        raise InputError(
            f"{path} must have a SHA-256 that begins with {wanted}, as its name says, got "
            f"{found[:16]}…: it is damaged, or not what it is called. Download it again, or give "
            "it another name."
        )


def check_hub(hub_id: str, folder: Path) -> None:
    """Check what was fetched from a repository of the hub that is known.

    Raises
    ------
    InputError
        Where a file is another one.
    OSError
        Where it cannot be read.
    """
    for name, wanted in KNOWN_ON_HUB.get(hub_id.lower(), {}).items():
        path = folder / name
        if path.is_file() and (found := digest_of(path)) != wanted:
            raise InputError(
                f"{name} of {hub_id} must have the SHA-256 {wanted[:16]}…, got {found[:16]}… "
                f"({path}): it is damaged, or no longer the file that is known. Remove it and try "
                "again, or name a folder that holds weights you trust."
            )


def _wanted(path: Path) -> str:
    """Return the first digits that the digest must have; empty: none is known."""
    real = path.resolve()
    if real.parent.name == _CACHED and _WHOLE.fullmatch(real.name):
        return real.name
    stem = path.name.partition(".")[0].lower()
    if stem in KNOWN:
        return KNOWN[stem]
    stated = _STATED.fullmatch(stem)
    # Digits alone are a date.
    return "" if stated is None or stated[1].isdecimal() else stated[1]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
