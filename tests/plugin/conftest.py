"""A real window for the plugin's tests, and the hands of a person in it."""

from __future__ import annotations

import gc
import os
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pytest

from edited_session import opened
from estimate_machine import Machine
from maskfree.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from napari.viewer import Viewer

    from maskfree.types import InstanceMasks
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.state import State

FRAMES, HEIGHT, WIDTH = 8, 64, 96


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written into the person's own folders."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def _manifests() -> Iterator[None]:
    """What plugins are installed is looked up once, and no window writes napari's settings."""
    from napari.settings import NapariSettings
    from npe2 import PluginManifest

    looked_up: dict[object, list[object]] = {}
    discover = PluginManifest.discover

    def remembered(*args: object, **kwargs: object) -> Iterator[object]:
        asked = repr((args, kwargs))
        if asked not in looked_up:
            looked_up[asked] = list(discover(*args, **kwargs))
        return iter(looked_up[asked])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", remembered)
        patch.setattr(NapariSettings, "save", lambda *_, **__: None)
        yield


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The notifications that a person has seen so far, as ``severity: text``."""
    from napari.utils.notifications import notification_manager

    seen: list[str] = []

    def record(event: object) -> None:
        seen.append(f"{event.severity}: {event.message}")

    notification_manager.notification_ready.connect(record)
    yield seen
    notification_manager.notification_ready.disconnect(record)


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Viewer], _manifests: None) -> Viewer:
    """A napari viewer that is really on the screen."""
    assert os.environ.get("QT_QPA_PLATFORM") != "offscreen"
    gc.freeze()  # the modules: each window is collected by itself, twice, and they are large
    made = make_napari_viewer(show=True)
    made.window.resize(1300, 900)
    return made


@pytest.fixture
def widget(viewer: Viewer, qtbot: object) -> Iterator[MaskFreeWidget]:
    """Plugins › MaskFree. Afterwards nothing of it may be left: process, thread, timer."""
    from napari_maskfree._commands import dock

    made = dock(viewer)
    made.ask_save = lambda _: "discard"
    made.ask_run = lambda _: "stop"
    yield made
    made.shut_down()
    assert not [t for t in threading.enumerate() if t.name.startswith("maskfree")]
    assert not [p for p in psutil.Process().children(recursive=True) if "maskfree" in cmdline(p)]


def cmdline(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def clip() -> object:
    """A tiny generated clip with exact masks."""
    from napari_maskfree.sample_data import generated_clip

    return generated_clip(num_frames=FRAMES, height=HEIGHT, width=WIDTH, seed=0)


@pytest.fixture
def clip_folder(clip: object, tmp_path: Path) -> Path:
    """The clip as a folder of images."""
    import imageio.v3 as iio

    folder = tmp_path / "clip"
    folder.mkdir()
    for index, frame in enumerate(clip.frames):
        iio.imwrite(folder / f"{index:05d}.png", frame)
    return folder


@pytest.fixture
def boxed(widget: MaskFreeWidget, clip_folder: Path) -> MaskFreeWidget:
    """The clip is open; track 1 is its left half."""
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, WIDTH / 2, HEIGHT), 0)
    return widget


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """What is asked when Estimate is pressed, and what it answers."""
    from napari_maskfree._qt import estimate_panel

    made = Machine(tmp_path)
    monkeypatch.setattr(estimate_panel, "preflight_stage", made.stage)
    return made


@pytest.fixture
def left_half() -> np.ndarray:
    """The mask of track 1: bool ``(H, W)``."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 2] = True
    return mask


@pytest.fixture
def save_masks(boxed: MaskFreeWidget, clip_folder: Path, tmp_path: Path) -> Callable[..., None]:
    """Save the boxes as a session with these masks in its first frames, and open it."""

    def save(*masks: InstanceMasks) -> None:
        boxes = boxed.state.tracks
        session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
        for frame, own in enumerate(masks):
            session.mask_store().write(frame, own)
        boxed.open_session(session.path)

    return save


@pytest.fixture
def hands(viewer: Viewer, qtbot: object) -> Hands:
    """A person's mouse on the canvas."""
    return Hands(viewer, qtbot)


class Hands:
    """Presses, drags and clicks on the canvas, in the picture's (y, x)."""

    def __init__(self, viewer: Viewer, qtbot: object) -> None:
        self.viewer, self.qtbot = viewer, qtbot

    @property
    def canvas(self) -> object:
        from qtpy.QtWidgets import QApplication

        found = [w for w in QApplication.allWidgets() if "CanvasBackend" in type(w).__name__]
        return max((w for w in found if w.isVisible()), key=lambda w: w.width() * w.height())

    def place(self, yx: tuple[float, float]) -> object:
        from qtpy.QtCore import QPoint

        camera = self.viewer.scene.camera
        half = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = (np.array(yx) - np.array(camera.center[-2:])) * camera.zoom + half
        return QPoint(round(x), round(y))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        from qtpy.QtCore import Qt

        left, canvas = Qt.MouseButton.LeftButton, self.canvas
        first, last = self.place(start), self.place(end)
        self.qtbot.mouseMove(canvas, first)
        self.qtbot.mousePress(canvas, left, pos=first)
        for share in (0.3, 0.6, 1.0):
            move(canvas, first + (last - first) * share)
            self.qtbot.wait(40)  # napari looks at the mouse some times a second only
        self.qtbot.mouseRelease(canvas, left, pos=last)
        self.qtbot.wait(50)

    def click(self, yx: tuple[float, float]) -> None:
        from qtpy.QtCore import Qt

        self.qtbot.mouseMove(self.canvas, self.place(yx))
        self.qtbot.mousePress(self.canvas, Qt.MouseButton.LeftButton, pos=self.place(yx))
        self.qtbot.mouseRelease(self.canvas, Qt.MouseButton.LeftButton, pos=self.place(yx))
        self.qtbot.wait(50)

    def press(self, button: object) -> None:
        """Click a button that can be clicked, wherever it is in the scroll area."""
        from qtpy.QtCore import Qt

        assert button.isEnabled(), button.toolTip()
        assert button.isVisible(), button.text()
        self.qtbot.wait(20)  # until rows that have just appeared lie still
        self.qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        self.qtbot.wait(20)


def move(canvas: object, place: object) -> None:
    """Move the mouse with the left button held: QTest's own move holds none."""
    from qtpy.QtCore import QEvent, QPointF, Qt
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    left = Qt.MouseButton.LeftButton
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(place),
        QPointF(canvas.mapToGlobal(place)),
        Qt.MouseButton.NoButton,
        left,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, event)


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait without a window."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def patience() -> Callable[[Callable[[], bool], float], bool]:
    """Wait for a condition in tests that have no window."""
    return wait_until


@pytest.fixture
def saved(clip_folder: Path, tmp_path: Path) -> object:
    """A session with two tracks and masks of the first, as the window holds it; frame 3 shown."""
    from maskfree.session import Session
    from maskfree.types import InstanceMasks
    from napari_maskfree.state import State
    from napari_maskfree.video_info import VideoInfo

    made, left = State(), np.zeros((HEIGHT, WIDTH), bool)
    left[:, : WIDTH // 2] = True
    made.set_video(VideoInfo("clip", str(clip_folder), FRAMES, HEIGHT, WIDTH, None, 0))
    made.start_boxes()
    made.set_box(1, (4, 6, 40, 50), 0)
    made.set_box(1, (14, 6, 50, 50), 6)
    made.new_track("dog")
    made.set_box(2, (50, 0, 90, 60), 1)
    made.set_box(2, (52, 0, 92, 60), 6)
    session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=made.tracks)
    for frame in range(FRAMES):
        masks = InstanceMasks((1,), left[None], (0.5 + frame / 100,))
        session.mask_store().write(frame, masks)
    made.set_session(session)
    made.select(1)
    made.set_frame(3)
    return made


@pytest.fixture
def unedited(saved: object) -> Session:
    """The session of ``saved`` as it is on the disk; no window has edited it."""
    saved.journal.close()
    (saved.session.path / "journal.jsonl").unlink()
    return Session.open(saved.session.path)


@pytest.fixture
def edited(unedited: Session, clip_folder: Path) -> State:
    """That session as a window that has just been opened has it."""
    made, said = opened(unedited, clip_folder)
    assert said == []
    return made


@pytest.fixture
def copied(saved: object) -> Callable[..., dict[str, object]]:
    """Runs the Python of an action on the ``saved`` session, and returns its variables.

    What the situation has beside track 1 is passed by name.
    """
    from napari_maskfree.as_python import Situation, as_python

    def run(name: str, /, **more: object) -> dict[str, object]:
        now, before = saved.box_state(1), saved.box_state(1, saved.frame - 1)
        about = {
            "session": str(saved.session.path),
            "frames": FRAMES,
            "frame": saved.frame,
            "range": saved.range or (saved.frame, saved.frame),
            "box": now.xyxy if now else None,
            "last_box": before.xyxy if before else None,
        }
        text = as_python(name, Situation(**{**about, **more}))
        space: dict[str, object] = {}
        exec(compile(text, name, "exec"), space)
        return space

    return run
