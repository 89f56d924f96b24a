"""What the window does with layers, files and the session: the state's hands. No Qt here.

Every method touches napari's layers and so runs in the main thread.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, InputWarning
from maskfree.session import Session, is_session
from maskfree.tracks import read_boxes, write_boxes
from maskfree.types import BoxTracks
from maskfree.video import open_video
from napari_maskfree import boxes_layer, video_layer
from napari_maskfree.boxes_layer import BoxesLayer
from napari_maskfree.correspondence_layers import MatchLayers
from napari_maskfree.evidence_layer import EvidenceLayer
from napari_maskfree.ignore_shown import IgnoreShown
from napari_maskfree.masks_view import MasksView
from napari_maskfree.moved_frames import check_size
from napari_maskfree.onion_skin import OnionSkin
from napari_maskfree.reopening import bring_back, reopen, saved_boxes
from napari_maskfree.residual_layer import ResidualLayer
from napari_maskfree.saved_layers import Owner
from napari_maskfree.video_watch import REPLACED, VideoWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from maskfree.video import Video
    from maskfree.video_source import Progress
    from napari_maskfree.state import State
    from napari_maskfree.video_info import VideoInfo
    from napari_maskfree.video_layer import AxisChoice

__all__ = ["Project"]

_NO_VIDEO = "There is no video yet. Choose one in section 1."


class Project(MasksView):
    """Binds the state to the layers of one viewer."""

    def __init__(
        self,
        viewer: ViewerModel,
        state: State,
        *,
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        super().__init__(viewer, state, defer=defer, notify=notify)
        self.choice: AxisChoice | None = None
        self.boxes: BoxesLayer | None = None
        self._bringing_back = True
        self._last: VideoInfo | None = None
        self.watch = VideoWatch(moved=self._on_moved, replaced=self._on_replaced, notify=notify)
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
        state.corrections.changed.connect(self._save_corrections)

    def close(self) -> None:
        """Let go of the viewer; its layers stay."""
        super().close()
        self.viewer.dims.events.point.disconnect(self._on_dims)
        self._camera.events.zoom.disconnect(self._on_zoom)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.state.corrections.changed.disconnect(self._save_corrections, missing_ok=True)
        if self.boxes is not None:
            self.boxes.close()
            self.boxes = None
        self.evidence.layer = None
        self.residual.layer = None
        self.onion.close()
        self.ignored.close()
        self.watch.close()

    # ---- video

    def open_path(self, path: str | Path) -> Image:
        """Open a video file or folder as a lazy layer and work on it.

        Raises
        ------
        InputError
            When it is missing or no video.
        """
        return self.add_video(self.read_video(path), path)

    def read_video(self, path: str | Path, progress: Progress | None = None) -> Video:
        """Open a video and show nothing; call it in any thread.

        The frame index that a session beside it has is made use of; ``progress`` as in
        `maskfree.video.open_video`.

        Raises
        ------
        InputError
            When it is missing or no video.
        """
        folder = video_layer.beside(Path(path).absolute())
        kept = folder if is_session(folder) else None
        return open_video(path, index_folder=kept, progress=progress)

    def add_video(self, video: Video, path: str | Path) -> Image:
        """Show a video, opened from ``path``, as a lazy layer and work on it."""
        from napari.layers import Image

        source = str(Path(path).absolute())

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
        info, keep = video_layer.video_info(layer, choice), self.keeps(layer, choice)
        old, self._last = self.state.video, info
        self.image, self.choice = layer, choice
        if old != info:
            self._remove_masks()
        if old != info or not keep:
            self.state.set_video(info, keep=keep)
            if not keep and self._bringing_back:
                self._bring_back()
        self.watch.watch(layer)
        self._on_dims()

    def _bring_back(self) -> None:
        said = bring_back(self.state)
        if said:
            self._defer(lambda: self._show_back(said))

    def _show_back(self, said: list[str]) -> None:
        if self.image is None or self.state.session is not None:
            return  # closed meanwhile, or a session is open
        self.show_boxes()
        self.state.tracks_changed.emit()  # the layer is there now: panels show it
        for words in said:
            self._notify(words)

    def keeps(self, layer: Image, choice: AxisChoice) -> bool:
        """Whether the boxes there are stay when a layer is bound so: it is the same video.

        Raises
        ------
        InputError
            When the axes do not add up.
        """
        info, old = video_layer.video_info(layer, choice), self._last
        if old is None or info.size != old.size:
            return False
        return layer is self.image or (info.source or info.name) == (old.source or old.name)

    def video(self) -> Video:
        """Return the engine's view of the bound layer."""
        if self.image is None or self.state.video is None:
            raise InputError(_NO_VIDEO)
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
            raise InputError(_NO_VIDEO)
        if self.state.tracks is None:
            self.state.start_boxes()
        if self.boxes is None:
            layer = boxes_layer.make_layer(self.image)
            self._own(layer)
            self.viewer.add_layer(layer)
            self.watch.hold(layer)
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
            When it is no boxes file or is for another video; while the session is read-only.
        """
        self.state.check_writable()
        tracks = boxes if isinstance(boxes, BoxTracks) else _read_boxes(boxes)
        self.state.load_tracks(tracks, dirty=self.state.session is not None)
        self.show_boxes()
        if self.boxes is not None:
            self.boxes.layer.mode = "select"

    def save_boxes(self, path: str | Path) -> None:
        """Write the boxes to a file of the person's choice; an open session saves its own."""
        if self.state.tracks is None:
            raise InputError("There are no boxes yet. Press New boxes layer.")
        write_boxes(path, self.state.tracks)
        if self.state.session is None:
            self.state.dirty = False
            if not self.state.corrections.unsaved:
                self.state.journal.kept()

    # ---- session

    def open_session(self, folder: str | Path, video: Video | None = None) -> None:
        """Open a saved session: its video (``video``, where that is open already), boxes and masks.

        Raises
        ------
        InputError
            When the folder is no session or its video is not found; `OtherVideo`, before
            anything is shown, where its boxes are for one of another length or size.
        """
        session = Session.open(folder)
        self._bringing_back = False  # the session's own edits come back
        try:
            self._show_video_of(session, video)
        finally:
            self._bringing_back = True
        said = reopen(self.state, session)
        self.show_boxes()
        self.show_masks()
        self.show_hold()
        for words in said:
            self._notify(words)
        if self.state.corrections.broken:
            warnings.warn("\n".join(self.state.corrections.broken), InputWarning, stacklevel=2)

    def _show_video_of(self, session: Session, video: Video | None) -> None:
        source, boxes = str(session.video_source), saved_boxes(session)
        if self.must_read(session):
            video = video or session.open_video()
            check_size(session, boxes, video.shape[:3])
            self.add_video(video, source)
            return
        layer = next(x for x in self.viewer.layers if video_layer.source_of(x) == source)
        choice = video_layer.guess_axes(layer)
        check_size(session, boxes, video_layer.video_info(layer, choice).size)
        now = self.state.video
        if now is None or now.source != source or self.image is None:
            self.bind(layer, choice)

    def show_hold(self) -> None:
        """Let the layers be edited, or not where another program edits the session."""
        ignored = self.ignored.view
        shown = (self.boxes, ignored)
        for layer in (*(view.layer for view in shown if view is not None), self.masks):
            if layer is not None:
                layer.editable = not self.state.read_only

    def must_read(self, session: Session) -> bool:
        """Say whether no layer shows the session's video yet."""
        source = str(session.video_source)
        return not any(video_layer.source_of(layer) == source for layer in self.viewer.layers)

    def session_folder(self) -> Path:
        """Return the folder of the session, or the one that it will have."""
        if self.state.folder is not None:
            return self.state.folder
        info = self.state.video or self._last
        assert info is not None
        return video_layer.free_folder(video_layer.default_folder(info))

    # ---- masks

    def _save_corrections(self, *_: object) -> None:
        for words in self.state.corrections.try_save():
            self._notify(words)

    def _own(self, layer: Layer) -> None:
        layer.metadata = Owner(self).mark(layer.metadata)

    def _add_under_boxes(self, layer: Layer) -> None:
        layers, active = self.viewer.layers, self.viewer.layers.selection.active
        boxes = None if self.boxes is None else self.boxes.layer
        there = boxes is not None and boxes in layers
        layers.insert(layers.index(boxes) if there else len(layers), layer)
        self.watch.hold(layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    # ---- what happens in the viewer

    def _on_zoom(self, _event: Any = None) -> None:
        zoom = float(self._camera.zoom)
        self.ignored.fit_zoom(zoom)
        if self.boxes is not None:
            self.boxes.fit_zoom(zoom)

    def _on_dims(self, _event: Any = None) -> None:
        if self.image is not None and self.state.video is not None:
            point = tuple(self.viewer.dims.point)
            self.state.set_frame(video_layer.frame_of(self.image, self.state.video, point))

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self.watch.release(layer)
        self.matches.categories.lose(layer)
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
            self._lose_video()

    def _lose_video(self) -> None:
        """Go on without the video; boxes and session stay."""
        self.image = None
        self.watch.watch(None)
        self.state.set_video(None, keep=True)

    def _on_replaced(self) -> None:
        """Let go of a layer whose frames were replaced: boxes and masks are not about these."""
        layer = self.image
        if layer is None:
            return
        video_layer.forget_source(layer)
        self._lose_video()
        self._last = None
        self._notify(REPLACED.format(layer.name))

    def _on_moved(self) -> None:
        """Drop the maps that lie elsewhere now; they come back where the video is."""
        for shown in (self.evidence, self.residual):
            if shown.layer is not None:
                self.viewer.layers.remove(shown.layer)  # as a person does: their toggles go off


def _read_boxes(path: str | Path) -> BoxTracks:
    """Read a boxes file, which may hold ignore regions and no box yet."""
    tracks = read_boxes(path, allow_empty=True)
    return tracks if tracks.ignore else read_boxes(path)
