"""By which a data set is known again: every process, and a run that goes on, must see the same."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.datasets.types import VideoDataset

__all__ = ["data_facts"]


def data_facts(datasets: Sequence[VideoDataset]) -> dict[str, Any]:
    """Return what there is to say of data sets: counts, and a digest of all but the pictures.

    The digest is one of names, classes, sizes, files, boxes, and masks where they were opened;
    where the data lie on a machine says nothing.
    """
    digest = hashlib.sha256()
    counts = {"videos": 0, "frames": 0, "instances": 0, "boxes": 0, "skipped": 0}
    for dataset in datasets:
        counts["skipped"] += len(dataset.skipped)
        _add(digest, dataset.name, dataset.classes, dataset.class_ids)
        for video in dataset.videos:
            counts["videos"] += 1
            counts["frames"] += len(video.files)
            _add(digest, video.id, video.name, video.height, video.width, video.files)
            for instance in video.instances:
                counts["instances"] += 1
                counts["boxes"] += int(np.isfinite(instance.boxes).all(-1).sum())
                _add(digest, instance.id, instance.class_index, instance.crowd)
                digest.update(np.ascontiguousarray(instance.boxes, "<f4").tobytes())
                for frame, runs in sorted((instance.segments or {}).items()):
                    _add(digest, frame, str(runs))
    classes = list(datasets[0].classes) if datasets else []
    return {**counts, "classes": classes, "digest": digest.hexdigest()}


def _add(digest: Any, *words: Any) -> None:
    digest.update(json.dumps(words).encode())
