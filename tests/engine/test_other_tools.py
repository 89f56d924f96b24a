"""Files that other tools wrote: exactly what is read of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from maskfree.errors import InputWarning
from maskfree.formats import Annotations, VideoFacts, bdd100k, bdd100k_masks, ome_zarr, yolo
from maskfree.formats.base import boxes_in

FILES = Path(__file__).parent / "files"
SHAPE = 24, 32
CAR = [(3.0, 2.0, 12.0, 8.0), (4.0, 3.0, 13.0, 9.0)]
WALKER = (20.0, 12.0, 30.0, 20.0)


def check_masks(back: Annotations, frame: int, wanted: dict[int, tuple[float, ...]]) -> None:
    """Check that a frame has these rectangles as masks, and their boxes."""
    masks = back.read_masks(frame)
    assert masks is not None
    assert masks.track_ids == tuple(wanted)
    for mask, box in zip(masks.masks, wanted.values(), strict=True):
        x0, y0, x1, y1 = map(int, box)
        full = np.zeros(SHAPE, bool)
        full[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(mask, full)
    assert boxes_in(back, frame) == wanted


def labels(back: Annotations) -> list[tuple[int, str]]:
    return [(track.id, track.label) for track in back.boxes.tracks]


@pytest.mark.parametrize("version", ["v0.4", "v0.5"])
def test_ome_zarr_py(version: str) -> None:
    back = ome_zarr.read(FILES / "ome-zarr" / version)
    assert labels(back) == [(5, "bee"), (300, "car")]
    assert (back.boxes.height, back.boxes.width, back.boxes.fps) == (*SHAPE, 25.0)
    last = (18.0, 12.0, 28.0, 20.0)
    for frame, wanted in enumerate([{5: CAR[0]}, {5: CAR[1], 300: WALKER}, {}, {300: last}]):
        check_masks(back, frame, wanted)


def test_boxes_of_scalabel() -> None:
    back = bdd100k.read(FILES / "scalabel/boxes.json")
    assert list(back.file_names) == [f"clip-000000{n}.jpg" for n in (1, 2, 3)]
    assert labels(back) == [(5, "car"), (300, "pedestrian")]
    later = {5: (4.5, 3.0, 13.25, 9.0), 300: WALKER}
    assert [boxes_in(back, n) for n in range(3)] == [{5: CAR[0]}, later, {}]
    assert [key.occluded for key in back.boxes.tracks[0].keyframes] == [True, False, False]
    assert back.boxes.tracks[1].extra == {"iscrowd": 1}
    assert back.read_masks(0) is None


def test_masks_of_scalabel() -> None:
    back = bdd100k.read(FILES / "scalabel/masks.json")
    assert labels(back) == [(5, "car"), (300, "pedestrian")]
    for frame, wanted in enumerate([{5: CAR[0]}, {5: CAR[1], 300: WALKER}, {}]):
        check_masks(back, frame, wanted)
    masks = back.read_masks(1)
    assert masks is not None
    assert masks.scores == (1.0, 0.75)


def test_supervision() -> None:
    facts = VideoFacts(2, *SHAPE, 25.0, ["a", "b"])
    with pytest.warns(InputWarning, match="3 shapes have no id"):
        back = yolo.read_of(FILES / "supervision/boxes", facts)
    assert labels(back) == [(1, "bee"), (2, "car"), (3, "bee")]
    assert boxes_in(back, 0) == {1: (4.0, 3.0, 12.0, 9.0)}
    assert boxes_in(back, 1) == {2: (20.0, 12.0, 28.0, 18.0), 3: (8.0, 6.0, 16.0, 12.0)}
    with pytest.warns(InputWarning, match="1 shape has no id: it is a track of its own"):
        back = yolo.read_of(FILES / "supervision/outlines", facts)
    # Its outlines go through the mask's last pixels: one column and one row are lost in its file.
    check_masks(back, 0, {1: (3.0, 2.0, 11.0, 7.0)})
    check_masks(back, 1, {})


@pytest.mark.parametrize("kind", ["yolo", "yolo_ultralytics"])
def test_yolo_folders_of_datumaro(kind: str) -> None:
    facts = VideoFacts(3, *SHAPE, None, [f"frame_00000{n}" for n in range(3)])
    with pytest.warns(InputWarning, match="2 shapes have no id"):
        back = yolo.read_of(FILES / "datumaro" / kind, facts)
    assert labels(back) == [(1, "car"), (2, "car")]
    assert boxes_in(back, 0)[1] == pytest.approx((3.0, 2.0, 12.0, 8.0), abs=1e-4)
    assert boxes_in(back, 1)[2] == pytest.approx((4.5, 3.0, 13.75, 9.0), abs=1e-4)
    assert boxes_in(back, 2) == {}


def test_bitmasks_of_bdd100k() -> None:
    back = bdd100k_masks.read(FILES / "bdd100k")
    assert list(back.frame_names) == [f"clip-000000{n}" for n in range(1, 5)]
    assert labels(back) == [(1, "car"), (2, "pedestrian")]
    last = (18.0, 12.0, 28.0, 20.0)
    for frame, wanted in enumerate([{1: CAR[0]}, {1: CAR[1], 2: WALKER}, {}, {2: last}]):
        check_masks(back, frame, wanted)
    assert [key.occluded for key in back.boxes.tracks[0].keyframes] == [True, False, False]
    assert back.boxes.tracks[1].extra == {"iscrowd": 1}
    (ignored,) = back.boxes.ignore
    assert (ignored.frame, ignored.until) == (3, 3)
    assert ignored.polygon == ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0), (0.0, 5.0))
