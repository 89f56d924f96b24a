"""The whole job without a window: boxes on a real clip become exported masks (``make demo``)."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

OUT = "demo-output"
GENERATED_STEPS = 80
GENERATED_SETTINGS = ("sampling.frame_area=20480", "sampling.object_size=16")
"""The generated clip is small, and so are its training frames: its part takes seconds."""
GENERATED_SIZE = (12, 128, 160)
"""Frames, height and width (pixels) of the generated clip."""


class Failed(Exception):
    """A command ended with another exit code than 0 (``code``)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit code {code}")
        self.code = code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and name what it wrote; return the exit code."""
    from maskfree.config import OptimiserConfig

    parser = argparse.ArgumentParser(prog="python -m napari_maskfree.demo", description=__doc__)
    parser.add_argument("--out", default=OUT, metavar="DIR", help=f"default: {OUT}")
    steps = OptimiserConfig().steps
    parser.add_argument("--steps", type=int, default=steps, metavar="N", help=f"default: {steps}")
    options = parser.parse_args(arguments)
    out = Path(options.out)
    started = time.monotonic()
    try:
        written = [*_rabbit(out, options.steps), *_generated(out, options.steps)]
    except Failed as failed:
        return failed.code
    minutes = (time.monotonic() - started) / 60
    print(f"\nDone in {minutes:.1f} minutes. Look at:")
    width = max(len(str(path)) for path, _ in written)
    for path, what in written:
        print(f"  {path!s:<{width}}  {what}")
    return 0


def _rabbit(out: Path, steps: int) -> list[tuple[Path, str]]:
    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path

    print("A rabbit from Big Buck Bunny (CC BY 3.0, Blender Foundation), boxed on some frames.")
    session, masks, instances = out / "rabbit", out / "rabbit-masks", out / "rabbit-ytvis.json"
    boxes = ("--boxes", rabbit_boxes_path(), "--session", session)
    _maskfree("finetune", rabbit_path(), *boxes, "--steps", steps)
    _maskfree("predict", session)
    _maskfree("export", session, "--format", "davis", "--out", masks)
    _maskfree("export", session, "--format", "ytvis", "--out", instances)
    picture = out / "rabbit.png"
    _draw(session, picture)
    return [
        (picture, "frames with boxes and mask contours"),
        (masks, "the masks as DAVIS indexed PNGs, one a frame"),
        (instances, "the masks as YouTube-VIS JSON"),
        (session, "the session: open it with the plugin, or `maskfree info`"),
    ]


def _generated(out: Path, steps: int) -> list[tuple[Path, str]]:
    from napari_maskfree.sample_data import generated_clip

    print("\nA generated clip, whose true masks are known: so the result can be scored.")
    frames, height, width = GENERATED_SIZE
    clip, session, picture = out / "generated-clip", out / "generated", out / "generated.png"
    generated_clip(frames, height, width).write(clip)
    boxes = ("--boxes", clip / "boxes.json", "--session", session)
    short = ("--steps", min(steps, GENERATED_STEPS), "--set", *GENERATED_SETTINGS)
    _maskfree("finetune", clip / "frames", *boxes, *short)
    _maskfree("predict", session)
    _maskfree("evaluate", session, "--truth", clip / "masks")
    _draw(session, picture)
    return [(picture, "the generated clip, a short run"), (clip, "its frames, true masks, boxes")]


def _maskfree(*words: object) -> None:
    """Run a command of ``maskfree`` as a person would, and show it."""
    from maskfree.cli import main as maskfree

    arguments = [str(word) for word in words]
    print(f"$ maskfree {shlex.join(arguments)}", flush=True)
    code = maskfree(arguments)
    if code:
        raise Failed(code)


def _draw(session: Path, picture: Path) -> None:
    import imageio.v3 as iio

    from maskfree.contact_sheet import contact_sheet
    from maskfree.session import Session
    from maskfree.storage import atomic_file

    opened = Session.open(session)
    with opened.open_video() as video, atomic_file(picture) as partial:
        sheet = contact_sheet(video, opened.boxes, opened.masks.read)
        iio.imwrite(partial, sheet)
    print(f"{picture}: a contact sheet")


if __name__ == "__main__":
    sys.exit(main())
