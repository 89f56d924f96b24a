"""Follows the video's layer: where it lies in the viewer, and whether its frames were replaced.

What we lay over the video lies on its last axes, whatever moved, turned or stretched it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Layer

__all__ = ["REPLACED", "VideoWatch", "lie_over", "rest_of"]

_PLACE = ("scale", "translate", "rotate", "shear", "affine")
"""Events of a layer that was moved, turned or stretched."""


_QUIET = 1.0
"""Seconds in which it is said once that a layer was put back: a drag moves it many times."""
REPLACED = (
    "The frames of {} were replaced, so MaskFree let go of it. Boxes and masks are those of the "
    "frames before: Save… the boxes (section 2), choose the layer again (section 1) and Load… them."
)


def rest_of(image: Image, ndim: int) -> np.ndarray:
    """Return what scale and translation leave of an image's place, on its last ``ndim`` axes.

    An affine matrix, ``(ndim + 1, ndim + 1)``: the identity unless the image is turned or sheared.
    """
    count = image.ndim
    origin = np.array(image.data_to_world(np.zeros(count)))
    linear = np.stack([np.array(image.data_to_world(e)) - origin for e in np.eye(count)], axis=1)
    linear = linear[-ndim:, -ndim:] / np.array(image.scale)[-ndim:]
    made = np.eye(ndim + 1)
    made[:-1, :-1] = linear
    made[:-1, -1] = origin[-ndim:] - linear @ np.array(image.translate)[-ndim:]
    return made


def lie_over(layer: Layer, image: Image) -> None:
    """Put a layer where the image is, on the image's last axes; what is there stays as it is."""
    wanted = {
        "scale": np.array(image.scale)[-layer.ndim :],
        "translate": np.array(image.translate)[-layer.ndim :],
        "rotate": np.eye(layer.ndim),
        "shear": np.zeros(layer.ndim * (layer.ndim - 1) // 2),
        "affine": rest_of(image, layer.ndim),
    }
    for name, value in wanted.items():
        if not np.allclose(np.asarray(getattr(layer, name)), value):
            setattr(layer, name, value)


class VideoWatch:
    """Tells of what happens to the video's layer, and holds layers where it is.

    Parameters
    ----------
    moved
        Called when the video lies elsewhere.
    replaced
        Called when its frames are others.
    notify
        Shows a sentence to the person.
    """

    def __init__(
        self,
        *,
        moved: Callable[[], None],
        replaced: Callable[[], None],
        notify: Callable[[str], None],
    ) -> None:
        self._moved, self._replaced, self._notify = moved, replaced, notify
        self._image: Image | None = None
        self._held: list[Layer] = []
        self._busy = False
        self._said_at = -_QUIET

    def watch(self, image: Image | None) -> None:
        """Watch this layer instead of the one before; None: none."""
        if image is self._image:
            return
        for name in (*_PLACE, "data"):
            slot = self._on_data if name == "data" else self._on_place
            if self._image is not None:
                getattr(self._image.events, name).disconnect(slot)
            if image is not None:
                getattr(image.events, name).connect(slot)
        self._image = image
        self._lie()

    def hold(self, layer: Layer) -> None:
        """Put a layer where the video is, and back there when somebody moves it."""
        if self._image is not None:
            lie_over(layer, self._image)
        self._held.append(layer)
        for name in _PLACE:
            getattr(layer.events, name).connect(self._on_held)

    def release(self, layer: Layer) -> None:
        """Hold a layer no more."""
        if layer in self._held:
            self._held.remove(layer)
            for name in _PLACE:
                getattr(layer.events, name).disconnect(self._on_held)

    def close(self) -> None:
        """Watch and hold nothing."""
        self.watch(None)
        for layer in list(self._held):
            self.release(layer)

    def _lie(self) -> None:
        if self._image is None or self._busy:
            return
        self._busy = True
        try:
            for layer in self._held:
                lie_over(layer, self._image)
        finally:
            self._busy = False

    def _on_place(self, _event: Any = None) -> None:
        self._lie()
        self._moved()

    def _on_data(self, _event: Any = None) -> None:
        self._replaced()

    def _on_held(self, event: Any) -> None:
        if self._busy or self._image is None:
            return
        self._lie()
        layer = event.source
        if str(layer.mode) == "transform":
            layer.mode = "pan_zoom"
        now = time.monotonic()
        if now - self._said_at < _QUIET:
            return
        self._said_at = now
        self._notify(
            f"{layer.name} lies on the picture, so it was put back. To move a box, select it (S); "
            "to move everything, move the layer of the video."
        )
