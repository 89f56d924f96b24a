"""The grammar of ``maskfree shift``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["SHIFT_EPILOG", "SHIFT_SUMMARY", "add_shift"]

SHIFT_SUMMARY = "boxes and masks along with frames that have other numbers now"

SHIFT_EPILOG = """\
For a video that was cut at its start or end, or encoded anew, since its boxes were drawn. Without
an option it is said what became of the frames, and nothing is changed. Corrections, masks, ignore
regions and the masks of every run move as well. What was there is kept in the session, --undo
brings it back, and --redo shifts again.

examples:
  maskfree shift work                        (look where the frames went)
  maskfree shift work --frames -12           (the first 12 frames were cut off)
  maskfree shift work --frames auto          (look through all of the video, then shift)
  maskfree shift work --video cut.mp4 --frames -12    (another file takes the place of the video)
  maskfree shift work --accept               (it is the right video: keep the frames' numbers)
  maskfree shift work --undo                 (once more: the shift before that)
"""


def add_shift(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("session", metavar="DIR", help="the session's folder")
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--frames", metavar="N", help="add N to every frame's number; auto: as many as are found"
    )
    what.add_argument(
        "--accept", action="store_true", help="the video is the right one: keep the numbers"
    )
    what.add_argument("--undo", action="store_true", help="take the last shift back")
    what.add_argument("--redo", action="store_true", help="shift again what was undone last")
    parser.add_argument(
        "--video", metavar="PATH", help="a video that takes the place of the session's own"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")
