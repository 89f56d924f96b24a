"""A small data set of walking squares, a network for it, and the command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from walking_squares import SMALL, saved, small_model, write_squares

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo


@pytest.fixture(scope="module")
def model(small_config: Config) -> Mask2FormerVideo:
    return small_model(small_config)


@pytest.fixture
def weights(model: Mask2FormerVideo, small_config: Config, tmp_path: Path) -> Path:
    return saved(tmp_path / "model.safetensors", model, small_config)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_squares(tmp_path / "data")


@pytest.fixture
def infer(cli: Callable[..., Any], root: Path, tmp_path: Path) -> Callable[..., Any]:
    def run(source: Path, *more: str) -> Any:
        out = tmp_path / "results.json"
        return cli("infer", source, "--data", root, "--out", out, "--device", "cpu", *SMALL, *more)

    return run
