from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import dry_runs
import generated_dataset
from maskfree import rle
from maskfree.datasets.opening import open_dataset
from napari_maskfree.sample_data.generated import generated_clip

if TYPE_CHECKING:
    from pathlib import Path

SIZES = "--train 2 --valid 1 --frames 4 --height 48 --width 64".split()


@pytest.mark.parametrize("kind", generated_dataset.KINDS)
def test_it_is_a_data_set_of_boxes_alone(tmp_path: Path, kind: str) -> None:
    assert generated_dataset.main([str(tmp_path), "--kind", kind, *SIZES]) == 0
    train = open_dataset(kind, tmp_path, "train")
    assert not train.skipped
    assert len(train.videos) == (8 if kind == "coco" else 2)
    assert open_dataset(kind, tmp_path, "valid" if kind[:2] in ("yt", "ov") else "val").videos
    for number, video in enumerate(train.videos):
        seed, first = divmod(number, 4) if kind == "coco" else (number, 0)
        clip = generated_clip(4, 48, 64, seed)
        for instance in video.instances:
            name = train.classes[instance.class_index]
            ids = {"blob": 1, "star": 2, "car": 1, "pedestrian": 2}[name]
            for frame, box in enumerate(instance.boxes):
                rows, columns = (clip.masks[first + frame] == ids).nonzero()
                expected = (
                    [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    if len(rows)
                    else [np.nan] * 4
                )
                np.testing.assert_array_equal(box, expected)


def test_the_masks_are_those_of_the_clips(tmp_path: Path) -> None:
    generated_dataset.main([str(tmp_path), *SIZES])
    assert "segmentations" not in (tmp_path / "train/instances.json").read_text()
    about = json.loads((tmp_path / "valid/instances.json").read_text())
    clip = generated_clip(4, 48, 64, 2)  # after the two that are trained on
    for each in about["annotations"]:
        for frame, run in enumerate(each["segmentations"]):
            mask = clip.masks[frame] == each["category_id"]
            found = np.zeros_like(mask) if run is None else rle.decode(run["counts"], 48, 64)
            np.testing.assert_array_equal(found, mask)


def test_the_page_of_dry_runs_tells_figures_and_faults() -> None:
    rank = {
        "device": "cpu",
        "clips": 4,
        "parameters": 1234567,
        "estimated": False,
        "bytes": 2.5e9,
        "clip": [3, 3, 8, 9],
    }
    whole = {"recipe": "a", "seconds": 7200, "ranks": [{**rank, "seconds_a_step": 1.25}]}
    much = {
        "recipe": "b",
        "seconds": None,
        "ranks": [{**rank, "bytes": None, "seconds_a_step": None}],
    }
    long = {**whole, "recipe": "d", "seconds": 9.5e7}
    page = dry_runs.page([whole, much, {"recipe": "c", "fault": "it is too much"}, long], "cpu")
    assert "| `a` | 1,234,567 | 3 x 8 x 9 | 4 | 2.5 GB | 1.2 | 2:00:00 |" in page
    assert "| `b` | 1,234,567 | 3 x 8 x 9 | 4 | more than there is | – | – |" in page
    assert "| `c` | it is too much |" in page
    assert "| 1.2 | 1,100 days |" in page
