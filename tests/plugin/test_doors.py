"""napari's own doors: File › Open, drag and drop, File › Save, for sessions, boxes and masks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskfree.formats import Annotations, export, read
from maskfree.session import Session
from maskfree.tracks import read_boxes, write_boxes
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

OURS = "napari-maskfree"
SIZE = (64, 96)
MANIFEST = Path(__file__).parents[2] / "napari_maskfree" / "napari.yaml"


def mask(x):
    made = np.zeros(SIZE, bool)
    made[10:30, x : x + 20] = True
    return made


def boxes():
    """A dog that leaves and comes back hidden, with a field that we do not know."""
    keyframes = (
        Keyframe(0, (10.5, 10.25, 30.0, 30.0), extra={"by": "me"}),
        Keyframe(2, None, outside=True),
        Keyframe(3, (20.0, 10.0, 40.0, 30.0), occluded=True),
    )
    tracks = (Track(2, "dog", keyframes), Track(5, "cat", (Keyframe(1, (1.0, 2.0, 9.0, 8.0)),)))
    return BoxTracks(4, *SIZE, 25.0, tracks)


def annotations():
    """Masks that overlap, in frames of which one was never predicted."""
    masks = [
        InstanceMasks((2, 5), np.stack([mask(10), mask(20)]), (0.5, 1.0)),
        None,
        InstanceMasks((), np.zeros((0, *SIZE), bool), ()),
        InstanceMasks((2,), mask(30)[None], (1.0,)),
    ]
    return Annotations(boxes(), [f"{n:05d}" for n in range(4)], masks.__getitem__)


# ---- the manifest


def test_all_that_the_manifest_names_is_there():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()
    assert manifest.contributions.readers[0].accepts_directories


def test_looking_at_a_file_imports_no_torch_and_no_window(tmp_path):
    write_boxes(tmp_path / "boxes.json", boxes())
    code = (
        "import sys\n"
        "from napari_maskfree import _writers\n"
        "from napari_maskfree._reader import get_reader\n"
        f"assert get_reader({str(tmp_path / 'boxes.json')!r})\n"
        f"assert get_reader({str(tmp_path)!r}) is None\n"
        "found = {'torch', 'qtpy', 'PyQt6', 'napari'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_pictures_are_left_to_others(tmp_path, clip_folder):
    from napari_maskfree._reader import get_reader

    (tmp_path / "x.json").write_text('{"a": 1}')
    for path in (clip_folder, tmp_path / "x.json", tmp_path / "none.json", tmp_path / "a.tif"):
        assert get_reader(str(path)) is None
    assert get_reader([str(clip_folder), str(tmp_path)]) is None


# ---- boxes


def test_boxes_are_opened_changed_and_saved(viewer, tmp_path):
    path = tmp_path / "boxes.json"
    write_boxes(path, boxes())
    (layer,) = viewer.open(path, plugin=OURS)
    assert layer.ndim == 3
    assert list(layer.features["track"]) == [2, 2, 5]
    np.testing.assert_allclose(layer.data[0][:, 0], 0)
    assert layer.data[0][:, 1:].min(axis=0).tolist() == [9.75, 10.0]
    (again,) = layer.save(str(tmp_path / "again.json"), plugin=OURS)
    assert Path(again).read_bytes() == path.read_bytes()
    moved = [np.array(each) for each in layer.data]
    moved[2] += [1, 0, 0]
    layer.data = moved
    layer.save(str(tmp_path / "moved.json"), plugin=OURS)
    cat = read_boxes(tmp_path / "moved.json").tracks[1]
    assert cat.keyframes == (Keyframe(2, (1.0, 2.0, 9.0, 8.0)),)
    session = Session.create(tmp_path / "s", video_source=None, boxes=boxes())
    before = (session.path / "boxes.json").read_bytes()
    with pytest.raises(RuntimeError, match=r"boxes\.json is a part of the session"):
        layer.save(str(session.path / "boxes.json"), plugin=OURS)
    assert (session.path / "boxes.json").read_bytes() == before


def test_shapes_without_a_video_are_refused(viewer, tmp_path):
    layer = viewer.add_shapes([np.array([[0, 1, 1], [0, 1, 9], [0, 9, 9], [0, 9, 1]])])
    with pytest.raises(RuntimeError, match="Nothing says which video these shapes are for"):
        layer.save(str(tmp_path / "x.json"), plugin=OURS)
    assert not (tmp_path / "x.json").exists()


# ---- masks


@pytest.mark.parametrize(
    "name", ["davis", "mots-png", "bdd100k-masks", "ome-zarr", "ctc", "npz", "ytvis", "coco"]
)
def test_masks_are_opened_as_labels(viewer, tmp_path, name):
    ending = {"npz": ".npz", "ytvis": ".json", "coco": ".json"}.get(name, "")
    path = tmp_path / f"masks{ending}"
    export(annotations(), path, name)
    (layer,) = viewer.open(path, plugin=OURS)
    assert layer.data.shape == (4, *SIZE)
    # After a gap a cell has another number, and MOTS numbers objects by their class.
    ids = np.asarray(layer.data[3]).max() if name in ("ctc", "mots-png") else 2
    np.testing.assert_array_equal(np.asarray(layer.data[3]), np.where(mask(30), ids, 0))
    assert viewer.dims.nsteps[0] == 4


def test_labels_are_saved_as_folder_stack_and_npz(viewer, tmp_path, notices):
    ids = np.zeros((4, *SIZE), np.uint16)
    ids[0][mask(10)], ids[3][mask(30)] = 7, 300
    layer = viewer.add_labels(ids)
    for ending in (".npz", ".labels.tif"):
        (path,) = layer.save(str(tmp_path / f"x{ending}"), plugin=OURS)
        (back,) = viewer.open(path, plugin=OURS)
        np.testing.assert_array_equal(np.stack([back.data[n] for n in range(4)]), ids)
    with pytest.raises(RuntimeError, match="davis holds ids up to 255"):
        layer.save(str(tmp_path / "x.davis"), plugin=OURS)
    assert not (tmp_path / "x.davis").exists()
    layer.data = np.minimum(ids, 255)
    layer.save(str(tmp_path / "x.davis"), plugin=OURS)
    assert sorted(each.name for each in (tmp_path / "x.davis").iterdir()) == [
        f"{n:05d}.png" for n in range(4)
    ]
    # napari's own saving stays as it was.
    import tifffile

    flat = viewer.add_labels(ids[0])
    (plain,) = flat.save(str(tmp_path / "plain.tif"))
    assert tifffile.imread(plain).dtype == np.uint32


def test_what_was_read_is_saved_with_all_that_is_known(viewer, tmp_path):
    export(annotations(), tmp_path / "a.npz", "npz")
    (layer,) = viewer.open(tmp_path / "a.npz", plugin=OURS)
    layer.save(str(tmp_path / "b.npz"), plugin=OURS)
    back = read(tmp_path / "b.npz", "npz")
    assert back.boxes.tracks == boxes().tracks
    masks = back.read_masks(0)
    assert masks.track_ids == (2, 5)
    np.testing.assert_array_equal(masks.masks[0], mask(10))  # also under the other
    layer.data[3] = np.where(mask(0), 5, 0)
    layer.save(str(tmp_path / "c.npz"), plugin=OURS)
    painted = read(tmp_path / "c.npz", "npz").read_masks(3)
    assert painted.track_ids == (5,)
    np.testing.assert_array_equal(painted.masks[0], mask(0))


# ---- the window's own layers


def test_the_windows_layers_save_all_frames(boxed, save_masks, left_half, tmp_path):
    boxed.state.set_box(1, (4, 4, 40, 60), 5)
    save_masks(InstanceMasks((1,), left_half[None], (0.75,)))
    project = boxed.project
    project.boxes.layer.save(str(tmp_path / "b.json"), plugin=OURS)
    saved = read_boxes(tmp_path / "b.json")
    assert [keyframe.frame for keyframe in saved.tracks[0].keyframes] == [0, 5]
    project.masks.save(str(tmp_path / "m.npz"), plugin=OURS)
    back = read(tmp_path / "m.npz", "npz")
    assert back.boxes.tracks == saved.tracks
    assert back.read_masks(0).scores == (0.75,)
    assert back.read_masks(1) is None


# ---- sessions


@pytest.fixture
def session(clip_folder, tmp_path, left_half):
    tracks = (Track(1, "dog", (Keyframe(0, (0.0, 0.0, 48.0, 64.0)),)),)
    made = Session.create(
        tmp_path / "clip.maskfree",
        video_source=str(clip_folder),
        boxes=BoxTracks(8, *SIZE, None, tracks),
    )
    made.mask_store().write(0, InstanceMasks((1,), left_half[None], (1.0,)))
    return made


def drop(path):
    """Let a file or folder fall onto the canvas, as a file manager does."""
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent
    from qtpy.QtWidgets import QApplication

    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    held = (Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton)
    held = (*held, Qt.KeyboardModifier.NoModifier)
    windows = [w for w in QApplication.allWidgets() if type(w).__name__ == "QtViewer"]
    target = next(w for w in windows if w.isVisible())
    QApplication.sendEvent(target, QDragEnterEvent(QPoint(50, 50), *held))
    QApplication.sendEvent(target, QDropEvent(QPointF(50, 50), *held))


def test_a_session_is_dropped_without_the_widget(viewer, session, left_half):
    drop(session.path / "session.json")
    assert [layer.name for layer in viewer.layers] == ["clip", "Masks", "Boxes"]
    video, masks, shapes = viewer.layers
    assert video.data.shape == (8, *SIZE, 3)
    np.testing.assert_array_equal(np.asarray(masks.data[0]), left_half)
    assert list(shapes.features["label"]) == ["dog"]


def test_a_session_folder_is_dropped_on_the_widget(widget, viewer, session, qtbot):
    from napari.settings import get_settings

    # What a person answers to "choose a reader" and remembers.
    get_settings().plugins.extension2reader = {"*.maskfree": OURS, "*.maskfree/": OURS}
    drop(session.path)
    qtbot.waitUntil(lambda: widget.state.session is not None, timeout=20000)
    assert widget.state.session.path == session.path
    assert widget.project.masks in viewer.layers
    assert len(viewer.layers) == len({layer.name for layer in viewer.layers})
    assert json.loads((session.path / "session.json").read_text())["version"] == 1


def test_boxes_are_not_lost_to_a_dropped_session(boxed, viewer, session):
    boxed.ask_save = lambda _: "cancel"
    boxed.state.set_box(1, (0, 0, 20, 20), 1)
    drop(session.path / "session.json")
    assert boxed.state.session is None
    assert boxed.state.dirty


# ---- pictures


def test_a_video_of_the_masks_is_exported(boxed, save_masks, left_half, tmp_path, qtbot):
    save_masks(InstanceMasks((1,), left_half[None], (1.0,)))
    panel, path = boxed.export, tmp_path / "x.mp4"
    panel.format.setCurrentIndex(panel.format.findData("mp4"))
    assert panel.path.text().endswith("-mp4.mp4")
    panel.path.setText(str(path))
    panel.refresh()
    assert panel.export.isEnabled()
    panel.export.click()
    qtbot.waitUntil(path.exists, timeout=30000)
    qtbot.waitUntil(lambda: panel.result.isVisibleTo(panel), timeout=30000)
    assert panel.result.text().startswith("Wrote 8 frames with 1 instance to x.mp4")
    assert panel.losses.text().startswith("In this picture: nothing says")
