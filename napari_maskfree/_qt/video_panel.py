"""Section 1: which video."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLabel, QSpinBox, QWidget
from superqt import QElidingLabel

from maskfree.session import Session
from maskfree.video_file import is_video_file
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree._qt.video_opening import VideoOpening
from napari_maskfree.constants import SPACING
from napari_maskfree.grid_layer import is_map
from napari_maskfree.saving import worth_saving
from napari_maskfree.video_layer import AxisChoice, guess_axes, layer_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.video import Video
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["VideoPanel"]

_NONE = "Choose a layer…"
_EMPTY = (
    "Open a video or a folder of images, choose an image that is open already, "
    "or try File › Open Sample › MaskFree."
)
_FILTER = (
    "Videos and stacks (*.mp4 *.avi *.mov *.mkv *.webm *.m4v *.mpg *.tif *.tiff);;All files (*)"
)


class VideoPanel(Panel):
    """Chooses the layer and its axes, opens videos and sessions."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self._filling = False
        self.layers = QComboBox()
        self.layers.setToolTip("The image layer that holds the video")
        self.layers.setMinimumContentsLength(12)
        self.layers.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.layers.activated.connect(self._choose)
        self.open_file = button("Video…", self._ask_file, "A video file or a TIFF stack")
        self.open_folder = button(
            "Folder…", self._ask_folder, "A folder of images, or a zarr array"
        )
        self.open_session = button(
            "Session…", self._ask_session, "Go on with a saved session: its boxes and masks"
        )
        self.axes = _AxesForm()
        self.axes.changed = self._rebind
        self.empty = hint(_EMPTY)
        self.facts = QLabel()
        self.held = hint()
        self.held.setObjectName("mfBad")
        self.folder = QElidingLabel()
        self.folder.setObjectName("mfHint")
        self.change_folder = button(
            "Save in…", self._ask_target, "Choose the folder that this session is saved in"
        )
        self.change_folder.setMaximumWidth(90)
        self.folder_row = row(self.folder, self.change_folder, grows=self.folder)
        opening = row(QLabel("Open"), self.open_file, self.open_folder, self.open_session)
        self.opening = VideoOpening(main)
        self.add(
            opening,
            self.opening,
            self.layers,
            self.empty,
            self.axes,
            self.facts,
            self.folder_row,
            self.held,
        )
        events = main.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._fill)
        self.state.video_changed.connect(self.refresh)
        self.state.session_changed.connect(self.refresh)
        self._fill()

    def close_panel(self) -> None:
        """Stop reading, and following the viewer."""
        self.opening.close_panel()
        events = self.main.viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.disconnect(self._fill)

    # ---- what is shown

    def refresh(self) -> None:
        """Show the state."""
        video, busy = self.state.video, self.main.busy
        self.empty.setVisible(video is None)
        self.facts.setVisible(video is not None)
        self.folder_row.setVisible(video is not None)
        self.held.setText(self.state.why_read_only)
        self.held.setVisible(self.state.read_only)
        why = "A run is at work: wait for it or cancel it (section 3)." if busy else ""
        for widget in (
            self.layers,
            self.open_file,
            self.open_folder,
            self.open_session,
            self.change_folder,
            self.axes,
        ):
            explain(widget, why)
        if video is None:
            self.main.set_summary("video", "")
            self.axes.setVisible(False)
            return
        self.facts.setText(video.summary)
        folder = self.project.session_folder()
        saved = "Session" if self.state.session is not None else "Will be saved in"
        if self.main.unsaved:
            saved = "Not saved in"
        self.folder.setText(f"{saved}: {folder.name}")
        self.folder.setToolTip(str(folder))
        self.folder.setObjectName("mfBad" if self.main.unsaved else "mfHint")
        self.folder.setStyleSheet(self.folder.styleSheet())
        self.main.set_summary("video", video.name)
        self._select_bound()

    def _fill(self, _event: Any = None) -> None:
        self._filling = True
        self.layers.clear()
        self.layers.addItem(_NONE, None)
        for layer in self.main.viewer.layers:
            if is_video_layer(layer):
                self.layers.addItem(layer.name, layer)
        self._select_bound()
        self._filling = False
        if self.project.image is None:
            self._take_up()
        self.refresh()

    def _take_up(self) -> None:
        """Work on what is open: the video that the boxes are about, or any while there are none."""
        layers = [self.layers.itemData(n) for n in range(self.layers.count() - 1, 0, -1)]
        if worth_saving(self.state) or self.main.busy:
            layers = [each for each in layers if self._keeps(each)]
        if layers:
            self._bind(layers[0], quiet=True)

    def _keeps(self, layer: Image) -> bool:
        try:
            return self.project.keeps(layer, guess_axes(layer))
        except ValueError:
            return False

    def _select_bound(self) -> None:
        image = self.project.image
        index = next((i for i in range(self.layers.count()) if self.layers.itemData(i) is image), 0)
        self.layers.setCurrentIndex(index if image is not None else 0)
        if image is not None and self.project.choice is not None:
            self.axes.show_layer(image, self.project.choice)

    # ---- what a person does

    def _choose(self, index: int) -> None:
        layer = self.layers.itemData(index)
        if not self._filling and layer is not None and layer is not self.project.image:
            if self.main.may_leave():
                self._bind(layer)
            self._select_bound()

    def _bind(self, layer: Image, *, quiet: bool = False) -> None:
        choice = guess_axes(layer)
        if quiet:
            try:
                self.project.bind(layer, choice)
            except ValueError:
                return
        else:
            reported(self.project.bind, layer, choice)
        self.axes.show_layer(layer, choice)

    def _rebind(self, choice: AxisChoice) -> None:
        image = self.project.image
        if image is None:
            return
        ok, keeps = reported(self.project.keeps, image, choice)
        if ok and (keeps or self.main.may_leave()):
            reported(self.project.bind, image, choice)
        elif ok and self.project.choice is not None:
            self.axes.show_layer(image, self.project.choice)

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open a video", self._start(), _FILTER)
        self.open_path(path)

    def _ask_folder(self) -> None:
        self.open_path(
            QFileDialog.getExistingDirectory(self, "Open a folder of images", self._start())
        )

    def open_path(self, path: str, then: Callable[[], None] = lambda: None) -> None:
        """Open a video and work on it; of a file the first frame is shown while it is read."""
        if not path or not self.main.may_leave():
            return
        if is_video_file(path):
            read = functools.partial(self.project.read_video, path)
            self.opening.open(path, read, lambda video: self._show(video, path, then))
        elif reported(self.project.open_path, path)[0]:
            then()

    def _show(self, video: Video, path: str, then: Callable[[], None]) -> None:
        if reported(self.project.add_video, video, path)[0]:
            self.project.go_to(0)
            then()

    def _ask_session(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a session folder", self._start())
        if path and self.main.may_leave():
            self.open_session_in(path)

    def open_session_in(self, path: str) -> None:
        """Open a saved session; its video's first frame is shown while that is read."""
        ok, session = reported(Session.open, path)
        source = session.video_source if ok else None
        if ok and source and is_video_file(source) and self.project.must_read(session):
            read = functools.partial(session.open_video, None)
            self.opening.open(source, read, lambda video: self.main.open_session(path, video))
        elif ok:
            self.main.open_session(path)

    def _ask_target(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Save the session in", self._start())
        if path:
            self.state.set_folder(Path(path))

    def _start(self) -> str:
        source = self.state.video.source if self.state.video else None
        return str(Path(source).parent) if source else str(Path.home())


class _AxesForm(QWidget):
    """Time, depth and channel axes of a layer that has more than frames, rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.changed: Any = None
        form = QFormLayout(self)
        form.setContentsMargins(0, 0, 0, 0)
        form.setSpacing(SPACING)
        self.boxes: dict[str, QComboBox] = {}
        for role, name, tip in (
            ("time", "Time", "The axis whose planes are the frames"),
            ("depth", "Depth", "The axis of z planes; one of them is used"),
            ("channel", "Channel", "The axis of colours"),
        ):
            box = QComboBox()
            box.setToolTip(tip)
            box.activated.connect(self._emit)
            self.boxes[role] = box
            form.addRow(name, box)
        self.plane = QSpinBox()
        self.plane.setToolTip("The z plane that is used")
        self.plane.valueChanged.connect(self._emit)
        self._form = form
        form.addRow("Plane", self.plane)
        self._layer: Image | None = None
        self._quiet = False
        self.setVisible(False)

    def show_layer(self, layer: Image, choice: AxisChoice) -> None:
        """Offer the layer's axes."""
        shape = layer_shape(layer)
        free = range(len(shape) - 2)
        self._quiet = True
        for role, box in self.boxes.items():
            box.clear()
            box.addItem("none", None)
            for axis in free:
                label = str(layer.axis_labels[axis])
                name = "" if label.lstrip("-").isdigit() else f" “{label}”"
                box.addItem(f"axis {axis}{name} · {shape[axis]} planes", axis)
            chosen = getattr(choice, role)
            box.setCurrentIndex(0 if chosen is None else chosen + 1)
        self.plane.setMaximum(shape[choice.depth] - 1 if choice.depth is not None else 0)
        self.plane.setValue(choice.depth_index)
        self._form.setRowVisible(self.plane, choice.depth is not None)
        self._quiet = False
        self._layer = layer
        self.setVisible(len(free) > 1)

    def choice(self) -> AxisChoice:
        """Return what is chosen."""
        roles = {role: box.currentData() for role, box in self.boxes.items()}
        return dataclasses.replace(AxisChoice(**roles), depth_index=self.plane.value())

    def _emit(self, *_: Any) -> None:
        if not self._quiet and self.changed is not None:
            self.changed(self.choice())


def is_video_layer(layer: Any) -> bool:
    """Say whether a layer may be a video: an image, but neither labels nor one of our maps."""
    return isinstance(layer, Image) and layer.ndim >= 2 and not is_map(layer)
