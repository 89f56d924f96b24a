"""Exports for people: a video with the masks drawn on it, a small animation, a contact sheet.

They show the video's own frames and cannot be read back as annotations. What was written is decoded
all the same before it takes its place: number of frames, size, times, and that each frame shows the
frame that it should. What draws and encodes is imported when it is used: the window lists names.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.formats.base import boxes_in
from maskfree.formats.export import ExportReport, staged_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from maskfree.formats.base import Annotations
    from maskfree.video import Video

__all__ = ["PICTURES", "Picture", "export_picture"]


@dataclasses.dataclass(frozen=True)
class Picture:
    """An export that is looked at: ``write`` makes the file and returns what to tell a person.

    ``name``: as given on the command line; ``title``: for a person; ``suffix``: of its file.
    ``write(annotations, video, path)`` also checks what it wrote.
    """

    name: str
    title: str
    suffix: str
    write: Callable[[Annotations, Video, Path], tuple[str, ...]]


def export_picture(
    annotations: Annotations, video: Video, path: str | os.PathLike[str], name: str
) -> ExportReport:
    """Draw ``annotations`` on the frames of ``video`` and write them to the file ``path``.

    On any failure what was at ``path`` stays.

    Raises
    ------
    InputError
        For annotations of another video, a path that cannot be written, and where what was decoded
        again is not what was drawn.
    """
    target, picture = Path(path), PICTURES[name]
    count, height, width, _ = video.shape
    boxes = annotations.boxes
    if (boxes.height, boxes.width) != (height, width) or len(annotations.frame_names) != count:
        raise InputError(
            f"The annotations are for {len(annotations.frame_names)} frames of {boxes.width} x "
            f"{boxes.height} pixels, the video has {count} of {width} x {height}. Give the video "
            "that they were made for."
        )
    if target.suffix.lower() != picture.suffix:
        raise InputError(
            f"{name} is written to a {picture.suffix} file, got {target}. Name it "
            f"{target.with_suffix(picture.suffix).name}."
        )
    with staged_file(target, name) as staged:
        told = picture.write(annotations, video, staged)
    return ExportReport(name, target, count, len(boxes.tracks), told)


def _drawn(annotations: Annotations, video: Video, frame: int) -> np.ndarray:
    from maskfree.overlay import overlay

    masks = annotations.read_masks(frame)
    boxes = boxes_in(annotations, frame) if masks is None else None
    return overlay(np.asarray(video[frame]), masks, boxes)


def _write_mp4(annotations: Annotations, video: Video, path: Path) -> tuple[str, ...]:
    from maskfree.video_writer import check_video, write_video

    fps = video.fps or FormatConfig().assumed_fps
    frames = (_drawn(annotations, video, n) for n in range(len(video)))
    written = write_video(path, frames, fps)
    check_video(path, written)
    told = []
    if video.fps is None:
        told.append(f"nothing says the video's frames a second: it plays at {fps:g}")
    if written.size != video.shape[1:3]:
        told.append("H.264 needs even sides: the last row or column is there twice")
    return tuple(told)


def _write_gif(annotations: Annotations, video: Video, path: Path) -> tuple[str, ...]:
    config = FormatConfig()
    chosen = evenly(range(len(video)), config.gif_frames)
    size = _fitted(video.shape[2], video.shape[1], config.gif_side)
    seconds = len(video) / (video.fps or config.assumed_fps)
    # A GIF counts in hundredths of a second, and players slow down what is faster than two.
    pause = max(2, round(100 * seconds / len(chosen))) * 10

    def pictures() -> Iterator[Image.Image]:
        for frame in chosen:
            small = Image.fromarray(_drawn(annotations, video, frame))
            yield small.resize(size, Image.Resampling.LANCZOS)

    drawn = list(pictures())
    octree = Image.Quantize.FASTOCTREE  # a tenth of the default's time
    few = [picture.quantize(method=octree) for picture in drawn]
    few[0].save(path, format="GIF", save_all=True, append_images=few[1:], duration=pause, loop=0)
    _check_gif(path, drawn, pause)
    told = []
    if len(chosen) < len(video):
        told.append(f"{len(chosen)} of {len(video)} frames, evenly spread")
    if size != (video.shape[2], video.shape[1]):
        told.append(f"frames are {size[0]} x {size[1]} pixels (width x height)")
    return tuple(told)


def _fitted(width: int, height: int, side: int) -> tuple[int, int]:
    part = min(1.0, side / max(width, height))
    return max(1, round(width * part)), max(1, round(height * part))


def _check_gif(path: Path, drawn: list[Image.Image], pause: int) -> None:
    """Check that at each time the picture of that time is shown."""
    with Image.open(path, formats=["GIF"]) as gif:
        place, most = 0, FormatConfig().picture_difference
        for number in range(getattr(gif, "n_frames", 1)):
            gif.seek(number)
            shown = np.asarray(gif.convert("RGB"), np.float32)
            # The writer makes one frame of neighbours that are the same, and lets it stay longer.
            times = max(1, round(int(gif.info.get("duration", pause)) / pause))
            for picture in drawn[place : place + times]:
                wanted = np.asarray(picture, np.float32)
                if shown.shape != wanted.shape or np.abs(shown - wanted).mean() > most:
                    raise _differs(path, f"frame {place}")
            place += times
    if place != len(drawn):
        raise _differs(path, f"{place} frames instead of {len(drawn)}")


def _differs(path: Path, what: str) -> InputError:
    return InputError(
        f"{path.name}: what was decoded is not what was drawn ({what}). Nothing was changed. Check "
        "the disk, or choose another one, and export again."
    )


def _write_sheet(annotations: Annotations, video: Video, path: Path) -> tuple[str, ...]:
    from maskfree.contact_sheet import contact_sheet

    sheet = contact_sheet(video, annotations.boxes, annotations.read_masks)
    Image.fromarray(sheet).save(path, format="PNG")
    with Image.open(path, formats=["PNG"]) as image:
        if not np.array_equal(np.asarray(image), sheet):
            raise _differs(path, "its pixels")
    return ()


PICTURES = {
    picture.name: picture
    for picture in (
        Picture("mp4", "MP4: the video with its masks drawn on it", ".mp4", _write_mp4),
        Picture("gif", "GIF: a small animation", ".gif", _write_gif),
        Picture("sheet", "PNG: a contact sheet", ".png", _write_sheet),
    )
}
"""Every picture by its name on the command line."""
