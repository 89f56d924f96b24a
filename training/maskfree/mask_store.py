"""Masks on disk: one JSON file a frame, COCO run-length encoding, lossless, overlaps allowed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.errors import InputError
from maskfree.frame_files import FrameFiles
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.limits import check_masks, check_size
from maskfree.storage import atomic_write, make_folder, read_json, writing
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MaskStore", "masks_from_json", "masks_to_json"]

_OF_FRAME = ("a frame's masks", "size")
_REMEDY = "Predict this frame again."


class MaskStore(FrameFiles):
    """The masks of one video under the folder ``path``, frame by frame.

    A frame's file (``00000.json``) holds ``{"size": [H, W], "instances": [{"id": 1, "score": 0.9,
    "counts": "…"}]}``, ``counts`` as pycocotools writes them (column by column, compressed).
    """

    def write(self, frame: int, masks: InstanceMasks) -> None:
        """Write the masks of ``frame``, in place of what was there.

        Raises
        ------
        ValueError
            For a negative frame, or masks whose shape, ids and scores do not fit together.
        InputError
            Where the disk is full or the folder may not be written.
        """
        if frame < 0:
            raise ValueError(f"frame must be 0 or more, got {frame}. Count from the first frame.")
        content = masks_to_json(masks)
        make_folder(self.path)
        atomic_write(self._file(frame), json.dumps(content) + "\n")

    def read(self, frame: int) -> InstanceMasks | None:
        """Return the masks of ``frame``; None where none were written.

        Raises
        ------
        InputError
            Where the file is broken.
        """
        path = self._file(frame)
        if not os.path.isfile(path):
            return None
        return masks_from_json(read_json(path, "mask file"), path)

    def read_scores(self, frame: int) -> dict[int, float]:
        """Return the scores of ``frame`` by track id, without decoding the masks.

        Raises
        ------
        InputError
            Where the file is broken.
        """
        path = self._file(frame)
        if not os.path.isfile(path):
            return {}
        items = _instances(as_object(read_json(path, "mask file"), path, *_OF_FRAME), path)
        return {
            as_whole(item.get("id"), path, "id", low=1): _score(item.get("score"), path)
            for item in items
        }

    def clear(self) -> None:
        """Remove the masks of all frames; other files in the folder stay.

        Raises
        ------
        InputError
            Where a file may not be removed.
        """
        for path in [self.path / name for name in self._names().values()]:
            with writing(path):
                path.unlink(missing_ok=True)


def _check(masks: InstanceMasks) -> None:
    if masks.masks.ndim != 3:
        raise ValueError(
            f"masks must be (N, H, W), got {masks.masks.shape}. Pass the masks of one frame."
        )
    if not len(masks.masks) == len(masks.track_ids) == len(masks.scores):
        raise ValueError(
            f"masks, track_ids and scores must be equally many, got {len(masks.masks)}, "
            f"{len(masks.track_ids)} and {len(masks.scores)}. Pass one of each for an instance."
        )
    if len(set(masks.track_ids)) < len(masks.track_ids):
        raise ValueError(
            f"track_ids must differ, got {masks.track_ids}. Join the masks of one track first."
        )


def masks_to_json(masks: InstanceMasks) -> dict[str, Any]:
    """Return a frame's masks as the plain values that its file holds.

    Raises
    ------
    ValueError
        For masks whose shape, ids and scores do not fit together.
    """
    _check(masks)
    counts = rle.encode(masks.masks)
    instances = [
        {"id": int(track_id), "score": float(score), "counts": text}
        for track_id, score, text in zip(masks.track_ids, masks.scores, counts, strict=True)
    ]
    return {"size": [int(n) for n in masks.masks.shape[1:]], "instances": instances}


def masks_from_json(data: object, where: str) -> InstanceMasks:
    """Return what :func:`masks_to_json` made; ``where`` it stands begins every message.

    Raises
    ------
    InputError
        Where it is broken.
    """
    fields = as_object(data, where, *_OF_FRAME)
    height, width = _size(fields.get("size"), where)
    items = _instances(fields, where)
    ids = tuple(as_whole(item.get("id"), where, "id", low=1) for item in items)
    scores = tuple(_score(item.get("score"), where) for item in items)
    check_masks(len(items), height, width, where)
    masks = np.zeros((len(items), height, width), dtype=bool)
    for n, item in enumerate(items):
        masks[n] = _mask(item.get("counts"), height, width, where)
    return InstanceMasks(ids, masks, scores)


def _instances(fields: Mapping[str, Any], where: object) -> list[dict[str, Any]]:
    return [
        as_object(item, f"{where}: instances[{n}]", "an instance", "id")
        for n, item in enumerate(as_list(fields.get("instances"), str(where), "instances"))
    ]


def _size(value: Any, where: str) -> tuple[int, int]:
    sides = as_list(value, where, "size")
    if len(sides) != 2:
        raise InputError(f"{where}: size must be [height, width], got {show(value)}. {_REMEDY}")
    height, width = (as_whole(side, where, "size", low=1) for side in sides)
    check_size(height, width, where)
    return height, width


def _score(value: Any, where: str) -> float:
    score = as_number(value)
    if score is None:
        raise InputError(f"{where}: score must be a number, got {show(value)}. {_REMEDY}")
    return score


def _mask(value: Any, height: int, width: int, where: str) -> np.ndarray:
    if not isinstance(value, str):
        raise InputError(
            f"{where}: counts must be a COCO run-length string, got {show(value)}. {_REMEDY}"
        )
    try:
        return rle.decode(value, height, width)
    except ValueError as error:
        raise InputError(f"{where}: {error}. {_REMEDY}") from None
