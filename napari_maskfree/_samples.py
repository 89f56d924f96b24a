"""File › Open Sample › MaskFree. Nothing is read before it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    LayerData = tuple[Any, dict[str, Any], str]

__all__ = ["generated", "rabbit"]


def rabbit() -> list[LayerData]:
    """Return the rabbit of Big Buck Bunny; its boxes are loaded by a button of the widget."""
    from maskfree.video import open_video
    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path
    from napari_maskfree.video_layer import layer_from_video

    path = rabbit_path()
    data, options, kind = layer_from_video(open_video(path), str(path), str(rabbit_boxes_path()))
    return [(data, {**options, "name": "Rabbit"}, kind)]


def generated() -> list[LayerData]:
    """Return a generated clip and its exact masks; its boxes are loaded by a button."""
    from napari_maskfree.sample_data import generated_clip

    clip = generated_clip()
    metadata = {"maskfree": {"boxes": clip.boxes(every=5)}}
    return [
        (clip.frames, {"name": "Generated clip", "rgb": True, "metadata": metadata}, "image"),
        (clip.masks, {"name": "Exact masks", "visible": False}, "labels"),
    ]
