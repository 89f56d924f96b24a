"""What is found out about a video that was encoded anew, trimmed or replaced, and in what time.

Clips are generated, encoded as H.264, changed and encoded again. Times are of the processor, for
one thread; the median of three after a warm-up.

    python training/benchmarks/frame_contract.py [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from maskfree.config import VideoConfig
from maskfree.frame_match import match_frames
from maskfree.frame_prints import make_prints
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.frame_match import FrameMatch

COUNT, HEIGHT, WIDTH = 240, 360, 640
QUALITIES = (20, 35, 45)
TRIALS = 3


@dataclasses.dataclass(frozen=True)
class Case:
    """A change of a clip, and what must be found: the kind, and the offset."""

    what: str
    change: Callable[[np.ndarray], np.ndarray]
    kind: str
    offset: int = 0
    rate: int = 24
    scale: float = 1.0


CASES = [
    Case("encoded again", lambda f: f, "same"),
    Case("first 7 frames cut off", lambda f: f[7:], "shifted", -7),
    Case("last 60 frames cut off", lambda f: f[:-60], "shifted"),
    Case("the middle third alone", lambda f: f[80:160], "shifted", -80),
    Case("30 frames more at the start", lambda f: np.concatenate([pan(30, 8), f]), "shifted", 30),
    Case("20 frames cut out of the middle", lambda f: np.concatenate([f[:90], f[110:]]), "cut"),
    Case("every second frame", lambda f: f[::2], "rate", rate=12),
    Case("half the size", lambda f: f, "same", scale=0.5),
    Case("7 frames cut off, half the size", lambda f: f[7:], "shifted", -7, scale=0.5),
    Case("another clip", lambda f: pan(len(f), 9), "other"),
]


def pan(count: int, seed: int) -> np.ndarray:
    """Return a camera's pan over a landscape, uint8 ``(count, HEIGHT, WIDTH, 3)``."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (12, 24 + count // 8, 3), dtype=np.uint8)
    land = cv2.resize(coarse, (WIDTH + 2 * count, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.stack([land[:, 2 * t : 2 * t + WIDTH] for t in range(count)])


def encode(path: Path, frames: np.ndarray, quality: int, case: Case) -> Path:
    """Encode frames as H.264; ``quality``: its rate factor, the larger the worse."""
    height, width = (round(side * case.scale) for side in (HEIGHT, WIDTH))
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=case.rate)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.options = {"crf": str(quality), "g": "48", "preset": "ultrafast"}
        for number, frame in enumerate(frames):
            small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(small), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, case.rate)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def timed(work: Callable[[], Any]) -> tuple[Any, list[float]]:
    """Return what ``work`` returns, and its processor times in seconds, after a warm-up."""
    result, seconds = work(), []
    for _ in range(TRIALS):
        begun = time.process_time()
        result = work()
        seconds.append(time.process_time() - begun)
    return result, seconds


def measure(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Return the rows, and the tables as Markdown."""
    frames, config = pan(COUNT, 0), VideoConfig().for_run()
    with open_video(encode(folder / "original.mp4", frames, 20, CASES[0]), config=config) as video:
        prints, making = timed(lambda: make_prints(video))
    lines = ["| change | rate factor | found | CPU s |", "|---|---|---|---|"]
    right = 0
    for case in CASES:
        for quality in QUALITIES:
            path = encode(folder / "other.mp4", case.change(frames), quality, case)

            def look(path: Path = path) -> FrameMatch:
                with open_video(path, config=config) as other:
                    return match_frames(prints, other)

            found, seconds = timed(look)
            is_right = (found.kind, found.offset) == (case.kind, case.offset)
            right += is_right
            told = f"{found.kind} {found.offset:+d}" if found.kind == "shifted" else found.kind
            lines.append(
                f"| {case.what} | {quality} | {told}{'' if is_right else ' (wrong)'} "
                f"| {_spread(seconds)} |"
            )
    total = len(CASES) * len(QUALITIES)
    rows = [
        _row("what became of the frames, found rightly", f"{total} of {total}", right, total),
        {
            "what": f"prints of {COUNT} frames of {WIDTH} x {HEIGHT}, CPU",
            "target": "under 1 s",
            "measured": f"{_spread(making)} s",
            "met": statistics.median(making) < 1,
            "why": "",
        },
    ]
    return rows, "\n".join(lines)


def _row(what: str, target: str, right: int, total: int) -> dict[str, Any]:
    why = "" if right == total else "see the table"
    measured = f"{right} of {total}"
    return {"what": what, "target": target, "measured": measured, "met": right == total, "why": why}


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def main() -> None:
    """Measure, print Markdown, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the result there as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, table = measure(Path(folder))
    head = "\n".join(f"- {row['what']}: {row['measured']} ({row['target']})" for row in rows)
    text = f"{head}\n\n{table}"
    print(text)
    if args.json:
        content = {"title": "A session knows its frames again", "rows": rows, "text": text}
        Path(args.json).write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    main()
