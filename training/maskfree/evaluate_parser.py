"""The grammar of ``maskfree evaluate``."""

from __future__ import annotations

import argparse

__all__ = ["EVALUATE_EPILOG", "EVALUATE_SUMMARY", "add_evaluate"]

EVALUATE_SUMMARY = "score the masks against true ones"

EVALUATE_EPILOG = """\
MASKS holds indexed PNGs named after the frames, pixel = track id; only frames that have one count.
J is the overlap of region, F that of the boundary (DAVIS); 1 is perfect. The ignore regions of the
session's boxes file count neither as hit nor as miss.
HOTA, DetA, AssA, IDF1, MOTSA, and YouTube-VIS's AP and AR take no id for granted: they find out
which predicted track is which true one. A track's class is its label.
With --truth-from MASKS are annotations of that format: their masks may overlap, their tracks have
classes, and their ignore regions hold too. With --from other annotations are scored in place of a
session. Frames belong together by their names or numbers, else in order.

examples:
  maskfree evaluate work --truth masks --json
  maskfree evaluate work --truth masks --tracking --plot j.png --markdown scores.md
  maskfree evaluate work --truth instances.json --truth-from ytvis --tracking
  maskfree evaluate found.txt --from mots --truth gt.txt --truth-from mots
"""

_MOST_ID = 255
"""An indexed PNG has no more values."""


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("session", metavar="DIR", help="the session's folder")
    parser.add_argument("--truth", required=True, metavar="MASKS", help="folder of true masks")
    parser.add_argument(
        "--truth-from", metavar="F", help="MASKS are annotations of this format, as for convert"
    )
    parser.add_argument(
        "--from",
        dest="source_format",
        metavar="F",
        help="DIR is no session, but annotations of this format",
    )
    parser.add_argument(
        "--video",
        metavar="PATH",
        help="with --from: the video, whose frames are meant, where names or sizes do not say it",
    )
    parser.add_argument(
        "--void", metavar="N", type=_void, help="a value of MASKS that does not count, as 255"
    )
    parser.add_argument(
        "--tracking", action="store_true", help="HOTA, IDF1, MOTSA and AP as well (TrackEval)"
    )
    parser.add_argument("--markdown", metavar="FILE", help="write the tables, by frame as well")
    parser.add_argument("--plot", metavar="FILE", help="draw J over the frames: .png, .svg or .pdf")
    parser.add_argument(
        "--full", action="store_true", help="J and F by class as well, and with --json by frame"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")


def _void(text: str) -> int:
    """Return a value of a mask that is not background, see ``--void``."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= _MOST_ID:
        raise argparse.ArgumentTypeError(
            f"expected a value of the masks, 1 to {_MOST_ID}, got {text}; 0 is background"
        )
    return value
