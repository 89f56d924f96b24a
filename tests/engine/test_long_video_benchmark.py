"""The long files of the benchmark are what they say, and what it prints can be read by others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

import long_video
from long_files import Kind, encode_minute, make_long
from maskfree.video import open_video

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "kind",
    [
        Kind("mp4", 6, 2, "mp4"),
        Kind("mkv", 12, 3, "mkv", variable=True),
        Kind("intra", 1, 0, "mp4"),
    ],
)
def test_a_long_file_repeats_its_minute(kind: Kind, tmp_path: Path) -> None:
    minute, path = tmp_path / "minute.mp4", tmp_path / f"long.{kind.suffix}"
    encode_minute(minute, kind, (64, 96), frames=24)
    make_long(minute, path, 72, variable=kind.variable)
    with open_video(minute) as short, open_video(path) as long:
        assert len(long) == 72
        order = [70, 3, 24, 25, 47, 48]
        assert all(np.array_equal(long[i], short[i % 24]) for i in order)
        keyframes = {int(start) for start in long._frames._index.starts}
        assert keyframes == set(range(0, 72, kind.gop))
        gaps = set(np.diff(long._frames._index.keys))
    assert len(gaps) > 1 if kind.variable else len(gaps) == 1


def test_what_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = long_video.encode_minute

    def small(path: Path, kind: Kind, size: tuple[int, int]) -> None:
        made(path, kind, (64, 96), frames=120)

    monkeypatch.setattr(long_video, "encode_minute", small)
    monkeypatch.setattr(long_video, "SPAN", 8)
    monkeypatch.setattr(long_video, "RATE", 4)
    out = tmp_path / "out.json"
    assert long_video.main(["--minutes", "1", "--samples", "4", "--json", str(out)]) == 0
    done = json.loads(out.read_text(encoding="utf-8"))
    assert done["title"] == "Long videos"
    assert len(done["rows"]) == 5 * len(long_video.KINDS) + 1
    for row in done["rows"]:
        assert set(row) == {"what", "target", "measured", "met", "why"}
        assert bool(row["why"]) != row["met"] or "first frame" in row["what"]
    assert "| frames | 240 | 240 | 240 |" in done["text"]
    assert done["text"] in capsys.readouterr().out


def test_the_95th_percentile() -> None:
    assert long_video.p95([float(n) for n in range(100, 0, -1)]) == 95.0
    assert long_video.p95([3.0]) == 3.0


def test_the_reason_of_slow_access_has_its_numbers() -> None:
    pairs = [((9.0, 0.002 * n), (9.0, 0.001 * n)) for n in range(1, 101)]
    assert long_video._why_slow(pairs).endswith(
        "computing takes 101 ms at the median, PyAV 50, 190 and 95 at p95, of 100 places"
    )
