"""Where the selected track was drawn before and after the shown frame, as thin corners. No Qt.

They are in a layer of their own from which nothing is ever read back: no keyframe can be made out
of it. Two boxes are shown at most, however many tracks there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskfree import constants as c
from napari_maskfree.boxes_layer import rectangle_from_box

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Shapes

    from maskfree.types import Box, Keyframe, Track
    from napari_maskfree.state import State

__all__ = ["ONION_NAME", "OnionSkin", "corners", "neighbours"]

ONION_NAME = "Onion skin"
_LOWER_RIGHT, _LOWER_LEFT = 2, 3
"""Corners of a rectangle that have the captions of what is after and before."""


def neighbours(track: Track, frame: int) -> tuple[Keyframe | None, Keyframe | None]:
    """Return the last keyframe with a box before a frame, and the first one after it."""
    boxed = [k for k in track.keyframes if k.xyxy is not None]
    before = [k for k in boxed if k.frame < frame]
    after = [k for k in boxed if k.frame > frame]
    return (before[-1] if before else None), (after[0] if after else None)


def corners(xyxy: Box) -> list[np.ndarray]:
    """Return the four corners of a box as napari draws them: paths, float (3, 2) each, (y, x)."""
    whole = rectangle_from_box(xyxy)
    found = []
    for n, here in enumerate(whole):
        sides = (here + c.ONION_CORNER * (whole[(n + step) % 4] - here) for step in (-1, 1))
        one, other = sides
        found.append(np.array([one, here, other]))
    return found


class OnionSkin:
    """The layer, while it is wanted. ``changed`` tells when it is wanted or no more.

    Parameters
    ----------
    viewer, state
        Followed.
    image
        Returns the video's layer, None where there is none.
    add
        Puts a layer under the boxes.
    defer
        Calls a function once the current event is over.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: ViewerModel,
        state: State,
        *,
        image: Callable[[], Image | None],
        add: Callable[[Layer], None],
        defer: Callable[[Callable[[], None]], None],
    ) -> None:
        self.viewer, self.state = viewer, state
        self._image, self._add, self._defer = image, add, defer
        self.on = False
        self.layer: Shapes | None = None
        self._shown: Any = None
        self._signals = (
            (state.frame_changed, self.refresh),
            (state.tracks_changed, self.refresh),
            (state.selection_changed, self.refresh),
            (state.video_changed, self._on_video),
        )
        for signal, slot in self._signals:
            signal.connect(slot)
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of viewer and state; a layer that is there stays."""
        for signal, slot in self._signals:
            signal.disconnect(slot, missing_ok=True)
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.on, self.layer = False, None

    def set_on(self, on: bool) -> None:
        """Show the layer, or take it away."""
        if on != self.on:
            self.on = on
            self._remake()
            self.changed.emit()

    def refresh(self) -> None:
        """Show the boxes around the state's frame; nothing is done where they are the same."""
        layer, track = self.layer, self.state.track()
        if layer is None:
            return
        near = neighbours(track, self.state.frame) if track is not None else (None, None)
        if self._shown == near:
            return
        self._shown = near
        layer.data = []
        paths: list[np.ndarray] = []
        captions: list[str] = []
        for keyframe, place, words in zip(
            near, (_LOWER_LEFT, _LOWER_RIGHT), ("◂ frame {}", "frame {} ▸"), strict=True
        ):
            if keyframe is not None and keyframe.xyxy is not None:
                paths += corners(keyframe.xyxy)
                said = words.format(keyframe.frame)
                captions += [said if n == place else "" for n in range(4)]
        if paths:
            height = self.state.video.height if self.state.video else 1 / c.EDGE_SHARE
            layer.add(
                paths,
                shape_type="path",
                edge_width=max(1.0, height * c.EDGE_SHARE * c.INTERPOLATED_EDGE),
                edge_color=c.ONION_COLOUR,
                face_color="transparent",
            )
        layer.features = {"text": np.array(captions, dtype=str)}
        layer.refresh_text()
        layer.editable = False  # napari lets every new content be edited

    def _remake(self) -> None:
        layer, self.layer, self._shown = self.layer, None, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)
        image = self._image()
        if self.on and image is not None and self.state.video is not None:
            self.layer = _make(image)
            self._add(self.layer)
            self.refresh()

    def _on_video(self) -> None:
        """Lie over the new video; napari may be removing layers, and it has counted them."""
        if self.on:
            self._defer(self._remake)

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value is self.layer:
            self.layer, self.on = None, False
            self.changed.emit()


def _make(image: Image) -> Shapes:
    from napari.layers import Shapes

    return Shapes(
        None,
        ndim=2,
        name=ONION_NAME,
        scale=image.scale[-2:],
        translate=image.translate[-2:],
        features={"text": np.zeros(0, dtype=str)},
        text={
            "string": "{text}",
            "anchor": "lower_left",
            "size": c.ONION_TEXT_SIZE,
            "color": c.ONION_COLOUR,
        },
    )
