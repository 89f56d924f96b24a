"""napari with a video open and MaskFree docked: ``python -m napari_maskfree [VIDEO]``."""

from __future__ import annotations

import argparse
import sys

__all__ = ["main"]

SIZE = (1500, 950)
"""Width and height of the window in pixels: the picture, the layers and the whole dock."""


def main(arguments: list[str] | None = None) -> int:
    """Open napari with a video (by default the rabbit sample) and the widget docked."""
    parser = argparse.ArgumentParser(prog="python -m napari_maskfree", description=main.__doc__)
    parser.add_argument("video", nargs="?", help="a video file, folder of images, TIFF or zarr")
    parser.add_argument("--boxes", metavar="FILE", help="a boxes file (boxes.json) to load")
    parser.add_argument("--session", metavar="DIR", help="a saved session to go on with")
    options = parser.parse_args(arguments)

    import napari

    from napari_maskfree._commands import dock
    from napari_maskfree._qt.background import reported
    from napari_maskfree._samples import rabbit

    viewer = napari.Viewer(title="MaskFree")
    widget = dock(viewer)

    def load() -> None:
        if options.boxes:
            reported(widget.project.load_boxes, options.boxes)
        widget.refresh_all()

    if options.session:
        widget.open_session(options.session)
        load()
    elif options.video:
        widget.video.open_path(options.video, load)
    else:
        for data, settings, _ in rabbit():
            viewer.add_image(data, **settings)
        load()
    viewer.window.resize(*SIZE)
    viewer.reset_view()
    napari.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
