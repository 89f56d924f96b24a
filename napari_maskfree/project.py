"""What the window does with layers, files and the session: the state's hands. No Qt here.

Every method touches napari's layers and so runs in the main thread.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, InputWarning
from maskfree.session import Session
from maskfree.tracks import read_boxes, write_boxes
from maskfree.types import BoxTracks
from maskfree.video import open_video
from napari_maskfree import boxes_layer, correct, masks_layer, video_layer
from napari_maskfree.boxes_layer import BoxesLayer
from napari_maskfree.correspondence_layers import MatchLayers
from napari_maskfree.evidence_layer import EvidenceLayer
from napari_maskfree.ignore_shown import IgnoreShown
from napari_maskfree.masks_editor import MasksEditor, ShownMasks
from napari_maskfree.onion_skin import OnionSkin
from napari_maskfree.residual_layer import ResidualLayer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer

    from maskfree.video import Video
    from napari_maskfree.state import State
    from napari_maskfree.video_layer import AxisChoice

__all__ = ["Project"]


class Project:
    """Binds the state to the layers of one viewer."""

    def __init__(
        self,
        viewer: ViewerModel,
        state: State,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.viewer, self.state = viewer, state
        self._defer, self._notify = defer, notify
        self.image: Image | None = None
        self.choice: AxisChoice | None = None
        self.boxes: BoxesLayer | None = None
        self.masks: Labels | None = None
        self.editor: MasksEditor | None = None
        self._coloured: dict[int, tuple[int, int, int]] = {}
        self._stamps: dict[int, tuple[int, int] | None] = {}
        self._kept: tuple[str, str | None, int] | None = None
        self.matches = MatchLayers(viewer)
        self.evidence = EvidenceLayer(viewer)
        self.residual = ResidualLayer(viewer)
        self.onion = OnionSkin(
            viewer, state, image=lambda: self.image, add=self._add_under_boxes, defer=defer
        )
        self.ignored = IgnoreShown(
            viewer,
            state,
            image=lambda: self.image,
            add=self._add_under_boxes,
            defer=defer,
            notify=notify,
        )
        viewer.dims.events.point.connect(self._on_dims)
        self._camera = getattr(viewer, "scene", viewer).camera  # napari before 0.9: the viewer's
        self._camera.events.zoom.connect(self._on_zoom)
        viewer.layers.events.removed.connect(self._on_removed)
        state.tracks_changed.connect(self._on_tracks)
        state.classes.colouring_changed.connect(self._on_tracks)
        state.corrections.changed.connect(self._save_corrections)

    def close(self) -> None:
        """Let go of the viewer; its layers stay."""
        self.viewer.dims.events.point.disconnect(self._on_dims)
        self._camera.events.zoom.disconnect(self._on_zoom)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.state.tracks_changed.disconnect(self._on_tracks, missing_ok=True)
        self.state.classes.colouring_changed.disconnect(self._on_tracks, missing_ok=True)
        self.state.corrections.changed.disconnect(self._save_corrections, missing_ok=True)
        if self.boxes is not None:
            self.boxes.close()
            self.boxes = None
        self._let_go_of_masks()
        self.evidence.layer = None
        self.residual.layer = None
        self.onion.close()
        self.ignored.close()

    # ---- video

    def open_path(self, path: str | Path) -> Image:
        """Open a video file or folder as a lazy layer and work on it.

        Raises
        ------
        InputError
            When it is missing or no video.
        """
        return self._add_video(open_video(path), str(Path(path).absolute()))

    def _add_video(self, video: Video, source: str) -> Image:
        from napari.layers import Image

        data, options, _ = video_layer.layer_from_video(video, source)
        # a plugin's viewer is a proxy: its add_image returns one, which is no layer of the list
        layer = Image(data, **options)
        self.viewer.add_layer(layer)
        self.bind(layer, video_layer.guess_axes(layer))
        return layer

    def bind(self, layer: Image, choice: AxisChoice) -> None:
        """Work on an open Image layer; boxes that fit the same video are kept.

        Raises
        ------
        InputError
            When the axes do not add up.
        """
        info = video_layer.video_info(layer, choice)
        old = self.state.video
        self.image, self.choice = layer, choice
        same = self._kept is not None and self._kept == (info.name, info.source, info.num_frames)
        if old != info:
            self._remove_masks()
        if old is None or not same:
            self.state.set_video(info, keep=same)
        elif old != info:
            self.state.set_video(info, keep=(old.height, old.width) == (info.height, info.width))
        self._kept = (info.name, info.source, info.num_frames)
        self._on_dims()

    def video(self) -> Video:
        """Return the engine's view of the bound layer."""
        if self.image is None or self.state.video is None:
            raise InputError("There is no video yet. Choose one in section 1.")
        return video_layer.layer_video(self.image, self.state.video)

    def go_to(self, frame: int) -> None:
        """Move the viewer's time slider to a frame."""
        if self.image is None or self.state.video is None:
            return
        place = video_layer.point_of(self.image, self.state.video, self.viewer.dims, frame)
        if place is not None:
            self.viewer.dims.set_point(*place)

    # ---- boxes

    def show_boxes(self) -> None:
        """Make the boxes layer, or bring it to the front, ready to draw."""
        if self.image is None:
            raise InputError("There is no video yet. Choose one in section 1.")
        if self.state.tracks is None:
            self.state.start_boxes()
        if self.boxes is None:
            layer = boxes_layer.make_layer(self.image)
            self.viewer.add_layer(layer)
            self.boxes = BoxesLayer(self.state, layer, defer=self._defer, notify=self._notify)
            self._on_zoom()
        self.ignored.show()
        self.viewer.layers.selection.active = self.boxes.layer
        self.boxes.layer.mode = "add_rectangle"

    def load_boxes(self, boxes: str | Path | BoxTracks) -> None:
        """Take over boxes, or those of a boxes file, and show them.

        Raises
        ------
        InputError
            When it is no boxes file or is for another video.
        """
        tracks = boxes if isinstance(boxes, BoxTracks) else read_boxes(boxes)
        self.state.load_tracks(tracks, dirty=self.state.session is not None)
        self.show_boxes()
        if self.boxes is not None:
            self.boxes.layer.mode = "select"

    def save_boxes(self, path: str | Path) -> None:
        """Write the boxes to a file of the person's choice."""
        if self.state.tracks is None:
            raise InputError("There are no boxes yet. Press New boxes layer.")
        write_boxes(path, self.state.tracks)
        self.state.dirty = False

    # ---- session

    def open_session(self, folder: str | Path) -> None:
        """Open a saved session: its video, boxes and masks.

        Raises
        ------
        InputError
            When the folder is no session or its video is not found.
        """
        session = Session.open(folder)
        source = str(session.video_source)
        if self.state.video is None or self.state.video.source != source or self.image is None:
            known = [x for x in self.viewer.layers if _source_of(x) == source]
            if known:
                self.bind(known[0], video_layer.guess_axes(known[0]))
            else:
                self._add_video(session.open_video(), source)
        self.state.load_tracks(session.boxes)
        self.state.set_session(session)
        self.show_boxes()
        self.show_masks()
        if self.state.corrections.broken:
            warnings.warn("\n".join(self.state.corrections.broken), InputWarning, stacklevel=2)

    def session_folder(self) -> Path:
        """Return the folder of the session, or the one that it will have."""
        if self.state.folder is not None:
            return self.state.folder
        assert self.state.video is not None
        return video_layer.free_folder(video_layer.default_folder(self.state.video))

    # ---- masks

    def _remove_masks(self) -> None:
        """Take the masks layer away: it is about another video, or lies on other axes."""
        layer = self.masks
        if layer is not None:
            self._let_go_of_masks()
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _let_go_of_masks(self) -> None:
        if self.editor is not None:
            self.editor.close()
        self.masks = self.editor = None

    def show_masks(self) -> int:
        """Show the session's masks, or read them again; return how many frames have some."""
        shown, info = self.shown_masks(), self.state.video
        if shown is None or info is None or self.image is None:
            return 0
        frames = len(shown.frames())
        if self.masks is not None and not masks_layer.fits(self.masks, self.image, info):
            self._remove_masks()
        if self.masks is None:
            if frames:
                self.masks = masks_layer.make_layer(shown, self.image, info, self._colours())
                self._add_under_boxes(self.masks)
                self.editor = MasksEditor(
                    self.state,
                    self.masks,
                    defer=self._defer,
                    notify=self._notify,
                )
            return frames
        self.masks.data.store = shown
        self.masks.data.forget()
        self._colour_masks()
        self.masks.refresh()
        return frames

    def follow_masks(self) -> None:
        """Show what was written since it was read, of the few frames in memory."""
        shown = self.shown_masks()
        if self.masks is None or shown is None:
            return
        stack, before = self.masks.data, self._stamps
        self._stamps = {frame: shown.predicted.stamp(frame) for frame in stack.kept()}
        changed = [f for f, now in self._stamps.items() if f not in before or before[f] != now]
        stack.forget(changed)
        if self.state.frame in changed:
            self.masks.refresh()

    def shown_masks(self, *, frozen: bool = False) -> ShownMasks | None:
        """Return the session's masks as they stand; None where there is no session.

        ``frozen``: with the corrections as they are now, for another thread.
        """
        session, book = self.state.session, self.state.corrections
        if session is None:
            return None
        return ShownMasks(session.mask_store(), book.copy() if frozen else book)

    def accept_frame(self) -> None:
        """Vouch for the masks of the shown frame.

        Raises
        ------
        InputError
            Where it has none.
        """
        shown, frame = self.shown_masks(), self.state.frame
        left = correct.accept(self.state, frame, shown.read(frame) if shown is not None else None)
        if left:
            ids = ", ".join(map(str, left))
            self._notify(
                f"Not accepted: track {ids}, whose mask is not where its box is. Press Predict "
                "again (section 3)."
            )

    def correct_masks(self) -> None:
        """Make the masks layer the one that is painted on, with the brush.

        Raises
        ------
        InputError
            Where there are no masks.
        """
        if self.masks is None and not self.show_masks():
            raise InputError("There are no masks yet. Fine-tune first (section 3).")
        assert self.masks is not None
        self.viewer.layers.selection.active = self.masks
        self.masks.visible = True
        self.masks.mode = "paint"

    def _save_corrections(self, *_: object) -> None:
        try:
            self.state.corrections.save()
        except InputError as error:
            self._notify(f"The corrections are not saved yet. {error}")

    def _add_under_boxes(self, layer: Layer) -> None:
        layers, active = self.viewer.layers, self.viewer.layers.selection.active
        boxes = None if self.boxes is None else self.boxes.layer
        there = boxes is not None and boxes in layers
        layers.insert(layers.index(boxes) if there else len(layers), layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    # ---- what happens in the viewer

    def _on_zoom(self, _event: Any = None) -> None:
        if self.boxes is not None:
            self.boxes.fit_zoom(float(self._camera.zoom))

    def _on_dims(self, _event: Any = None) -> None:
        if self.image is not None and self.state.video is not None:
            point = tuple(self.viewer.dims.point)
            self.state.set_frame(video_layer.frame_of(self.image, self.state.video, point))

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if self.boxes is not None and layer is self.boxes.layer:
            self.boxes.close()
            self.boxes = None
            self.state.tracks_changed.emit()
        elif layer is self.masks:
            self._let_go_of_masks()
            self.state.session_changed.emit()
        elif layer is self.evidence.layer:
            self.evidence.layer = None
            self.state.session_changed.emit()
        elif layer is self.residual.layer:
            self.residual.lose()
        elif layer is self.image:
            self.image = None
            self.state.set_video(None, keep=True)

    def _on_tracks(self) -> None:
        if self.masks is not None and self.masks in self.viewer.layers:
            self._colour_masks()

    def _colour_masks(self) -> None:
        """Give the masks layer a new colormap, which takes napari a while, where it needs one."""
        if not self.state.classes.colours().items() <= self._coloured.items():
            self.masks.colormap = masks_layer.track_colormap(self._colours())

    def _colours(self) -> dict[int, tuple[int, int, int]]:
        """Return the colours of the tracks, which the masks layer has from now on."""
        self._coloured = dict(self.state.classes.colours())
        return self._coloured


def _source_of(layer: Layer) -> str | None:
    known = layer.metadata.get(video_layer.METADATA) or {}
    return str(known["source"]) if known.get("source") else None
