from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

import generated_dataset
from maskfree import rle
from maskfree.datasets.opening import open_dataset
from napari_maskfree.sample_data.generated import generated_clip

if TYPE_CHECKING:
    from pathlib import Path

SIZES = "--train 2 --valid 1 --frames 4 --height 48 --width 64".split()


def test_it_is_a_data_set_of_boxes_with_masks_to_score_on(tmp_path: Path) -> None:
    assert generated_dataset.main([str(tmp_path), *SIZES]) == 0
    train = open_dataset("ytvis2019", tmp_path, "train")
    assert not train.skipped
    assert train.classes == ("blob", "star")
    assert "segmentations" not in (tmp_path / "train/instances.json").read_text()
    for seed, video in enumerate(train.videos):
        clip = generated_clip(4, 48, 64, seed)
        for instance in video.instances:
            for frame, box in enumerate(instance.boxes):
                rows, columns = (clip.masks[frame] == instance.class_index + 1).nonzero()
                expected = (
                    [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    if len(rows)
                    else [np.nan] * 4
                )
                np.testing.assert_array_equal(box, expected)


def test_the_masks_are_those_of_the_clips(tmp_path: Path) -> None:
    generated_dataset.main([str(tmp_path), *SIZES])
    about = json.loads((tmp_path / "valid/instances.json").read_text())
    clip = generated_clip(4, 48, 64, 2)  # after the two that are trained on
    for each in about["annotations"]:
        for frame, run in enumerate(each["segmentations"]):
            mask = clip.masks[frame] == each["category_id"]
            found = np.zeros_like(mask) if run is None else rle.decode(run["counts"], 48, 64)
            np.testing.assert_array_equal(found, mask)
