"""What the command line is tried with, and what it answers."""

from __future__ import annotations

import json
from typing import Any

NUM_FRAMES, HEIGHT, WIDTH = 12, 96, 128
SMALL = ("--set", "sampling.frame_area=12288", "sampling.object_size=8")
"""Training frames of the clip's own size, so that a step takes a tenth of a second."""


class Result:
    """What a command did: exit code, stdout, stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)
