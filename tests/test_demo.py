"""`make demo` as a whole: minutes, so only with `make slow`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

NUM_FRAMES = 60
LEAST_FILLED, MOST_FILLED = 0.4, 0.9
"""Of its box the rabbit fills about two thirds."""


@pytest.mark.slow
def test_the_demo_ends_with_masks_of_the_rabbit(tmp_path: Path) -> None:
    from maskfree.tracks import boxes_at, read_boxes
    from napari_maskfree.sample_data import rabbit_boxes_path

    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "napari_maskfree.demo", "--out", str(out)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    named = done.stdout.partition("Look at:\n")[2].splitlines()
    paths = [line.split()[0] for line in named]
    assert str(out / "rabbit.png") in paths
    assert all(os.path.exists(path) for path in paths)
    assert iio.imread(out / "rabbit.png").shape[2] == 3
    tracks = read_boxes(rabbit_boxes_path())
    filled = []
    for frame in range(NUM_FRAMES):
        mask = np.asarray(Image.open(out / "rabbit-masks" / f"{frame:05d}.png")) == 1
        x0, y0, x1, y1 = boxes_at(tracks, frame)[1].xyxy
        filled.append(np.count_nonzero(mask) / ((x1 - x0) * (y1 - y0)))
    assert LEAST_FILLED < np.median(filled) < MOST_FILLED
    videos = json.loads((out / "rabbit-ytvis.json").read_text(encoding="utf-8"))["videos"]
    assert len(videos[0]["file_names"]) == NUM_FRAMES
