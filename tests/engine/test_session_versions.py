"""Sessions as every layout that was ever committed wrote them: today's code opens each, whole.

`files/sessions/README.md` says how they were made.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.formats import Annotations, export
from maskfree.frame_check import note_frames
from maskfree.kept_masks import kept_masks, shown_run
from maskfree.run_book import RunBook
from maskfree.session import Session
from maskfree.shift_session import shift_session
from maskfree.told_frames import boxes_of_masks, told_digest, told_frames, trained_frames
from maskfree.tracks import set_keyframe
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Result

KEPT = Path(__file__).parent / "files" / "sessions"
FRAMES, SIZE = 6, (32, 48)


@dataclasses.dataclass(frozen=True)
class Layout:
    """What the program of a commit kept.

    ``carried``: from which frame the pixels of frame 4 came, as far as it noted that; else 4.
    """

    name: str
    masks: int = FRAMES
    runs: int = 2
    corrected: tuple[int, ...] = ()
    gold: bool = False
    carried: int | None = None
    own_masks: bool = False
    told: bool = False
    ignore: bool = False
    previews: bool = False
    start: str | None = None


CARRIED = {"corrected": (0, 2, 4), "carried": 4, "own_masks": True}
GOLD = {**CARRIED, "corrected": (0, 2, 3, 4), "gold": True, "told": True}
NEWER = {**GOLD, "carried": 2, "ignore": True, "previews": True}
LAYOUTS = [
    Layout("01-first", masks=1, runs=1),
    Layout("02-command-line"),
    Layout("03-consensus"),
    Layout("04-tubes"),
    Layout("05-corrections", corrected=(0, 2)),
    Layout("06-carried", **CARRIED),  # type: ignore[arg-type]
    Layout("07-gold", **GOLD),  # type: ignore[arg-type]
    Layout("08-previews", **NEWER),  # type: ignore[arg-type]
    Layout("09-best", **NEWER),  # type: ignore[arg-type]
    Layout("10-start", start="0001", **NEWER),  # type: ignore[arg-type]
    Layout("11-evidence", **NEWER),  # type: ignore[arg-type]
    Layout("12-first-masks", start="0001", **NEWER),  # type: ignore[arg-type]
]


@pytest.fixture
def place(layout: Layout, tmp_path: Path) -> Path:
    """A copy of the session, beside its video."""
    shutil.copytree(KEPT / "frames", tmp_path / "frames")
    return Path(shutil.copytree(KEPT / layout.name, tmp_path / "session"))


@pytest.fixture
def session(place: Path) -> Session:
    return Session.open(place)


each = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)


def test_every_layout_is_here() -> None:
    kept = {path.name for path in KEPT.iterdir() if path.is_dir()} - {"frames"}
    assert kept == {layout.name for layout in LAYOUTS}
    assert sum(p.stat().st_size for p in KEPT.rglob("*") if p.is_file()) < 2**20


@each
def test_video_and_boxes(layout: Layout, session: Session, tmp_path: Path) -> None:
    assert session.video_source == str(tmp_path / "frames")
    with session.open_video() as video:
        assert video.shape == (FRAMES, *SIZE, 3)
        note_frames(session, video)
    boxes = session.boxes
    assert (boxes.num_frames, boxes.height, boxes.width, boxes.fps) == (FRAMES, *SIZE, 5.0)
    assert boxes.extra == {"made_by": "hand"}
    car, dog = boxes.tracks
    assert (car.id, car.label, dog.id, dog.label) == (1, "car", 2, "dog")
    assert car.keyframes == (
        Keyframe(0, (6.0, 8.0, 18.0, 20.0)),
        Keyframe(5, (21.0, 8.0, 33.0, 20.0)),
    )
    assert dog.keyframes == (
        Keyframe(1, (30.0, 2.5, 44.0, 12.0), occluded=True),
        Keyframe(4, None, outside=True),
    )
    assert [(r.frame, r.until) for r in boxes.ignore] == ([(2, None)] if layout.ignore else [])


@each
def test_masks_and_corrections(layout: Layout, session: Session) -> None:
    assert session.mask_store().frames() == list(range(layout.masks))
    for frame in range(layout.masks):
        found = session.mask_store().read(frame)
        assert found is not None
        assert found.masks.shape[1:] == SIZE
        assert set(found.track_ids) <= {1, 2}
    known = session.corrections.read_all()
    assert tuple(known) == layout.corrected
    if layout.corrected:
        on = np.zeros(SIZE, bool)
        on[8:20, 6:18] = True
        assert known[0][1].accepted
        assert not known[2][1].accepted
        for frame in (0, 2):
            assert (known[frame][1].is_object == on).all()
        assert known[2][1].is_other.sum() == 1
    assert any(c.gold for own in known.values() for c in own.values()) == layout.gold
    assert (known[4][1].carried if 4 in known else None) == layout.carried
    for frame in {*range(layout.masks), *layout.corrected}:
        assert session.masks.read(frame) is not None


@each
def test_runs(layout: Layout, session: Session) -> None:
    runs = session.runs()
    assert [run.name for run in runs] == ["0001", "0002"][: layout.runs]
    for number, run in enumerate(runs):
        assert run.config.preset == "tiny"
        assert run.seed == (number if layout.runs > 1 else 3)
        assert run.steps_done in (1, 2)
        assert run.status == ("done" if layout.runs > 1 else "stopped")
        assert (told_frames(run) is not None) == layout.told
        if layout.told:
            assert boxes_of_masks(run) == session.boxes
    if layout.runs > 1:
        assert shown_run(session) == "0002"
        assert (told_digest(runs[1]) is not None) == (layout.name >= "10")
        assert runs[1].start == layout.start
        assert bool(kept_masks(runs[0]).frames()) == layout.own_masks
        assert (runs[0].previews.read("now") is not None) == layout.previews
    if layout.told:
        assert trained_frames(runs[1]) >= {0, 2}
    summaries = RunBook(session, FRAMES).refresh()
    assert [each.steps for each in summaries] == [run.steps_done for run in runs]
    assert not (layout.runs > 1) or summaries[1].shown


@each
def test_info_and_exports(
    layout: Layout, session: Session, cli: Callable[..., Result], tmp_path: Path
) -> None:
    found = cli("info", session.path, "--json").json
    assert (found["boxes"], found["masks"]["frames"] >= layout.masks) == (3, True)
    assert found["corrections"]["frames"] == len(layout.corrected)
    annotations = Annotations(
        session.boxes, [f"{t:05d}" for t in range(FRAMES)], session.masks.read
    )
    for name in ("npz", "davis"):
        assert export(annotations, tmp_path / name, name).frames >= layout.masks
    export(annotations, tmp_path / "boxes.json", "boxes")


@each
def test_going_on_with_it(layout: Layout, session: Session, place: Path) -> None:
    session.save_boxes(set_keyframe(session.boxes, 1, Keyframe(2, (9.0, 8.0, 21.0, 20.0))))
    assert json.loads((place / "boxes.json").read_text(encoding="utf-8"))["made_by"] == "hand"
    for frame, own in session.corrections.read_all().items():
        session.corrections.write(frame, own)
    assert tuple(session.corrections.frames()) == layout.corrected
    with session.open_video() as video:
        done = shift_session(session, video, -1)
    again = Session.open(place)
    assert done.masks == len(again.mask_store().frames()) == max(0, layout.masks - 1)
    assert tuple(f + 1 for f in again.corrections.frames()) == tuple(
        f for f in layout.corrected if f
    )


@pytest.mark.parametrize("layout", LAYOUTS[1:2], ids=lambda layout: layout.name)
def test_the_first_weights_predict(
    layout: Layout, session: Session, cli: Callable[..., Result]
) -> None:
    assert session.latest_run() is not None
    result = cli("predict", session.path, "--frames", "0:2")
    assert result.code == 0, result.err
    assert session.mask_store().frames() == list(range(FRAMES))
