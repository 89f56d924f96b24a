from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import torch

from backbone_weights import never
from command_line import HEIGHT, NUM_FRAMES, WIDTH, Result
from consensus_scene import Scene, make_scene
from maskfree.cli import main
from maskfree.config import (
    AugmentConfig,
    Config,
    ConsensusConfig,
    EvidenceConfig,
    ModelConfig,
    OptimiserConfig,
    PredictConfig,
    PreviewConfig,
    SamplingConfig,
    TemporalKNNConfig,
)
from maskfree.model import hub_folder
from maskfree.session import Session
from maskfree.types import BoxTracks, Keyframe, Track
from napari_maskfree.sample_data import GeneratedClip, generated_clip
from session_folder import BOXES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from maskfree.consensus import Consensus
    from maskfree.types import Box


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_config() -> Config:
    """The whole method with a network of 46 000 parameters, on frames of 64 x 96."""
    return Config(
        model=ModelConfig(
            backbone_sizes=(8, 8, 16, 16),
            backbone_depths=(1, 1, 1, 1),
            hidden_size=32,
            feedforward_size=32,
            num_heads=2,
            encoder_layers=1,
            decoder_layers=2,
            num_queries=4,
        ),
        temporal=TemporalKNNConfig(search_radius=2),
        evidence=EvidenceConfig(weight=1.0),
        consensus=ConsensusConfig(first_boxes=0),
        sampling=SamplingConfig(
            clip_length=2,
            max_gap=1,
            frame_area=64 * 96,
            object_size=8.0,
            max_enlarge=1.0,
            contrast=0.0,
        ),
        augment=AugmentConfig(flip=True, scale_jitter=0.2, colour_jitter=0.15),
        optimiser=OptimiserConfig(steps=4, learning_rate=1e-3, warmup=0.25, checkpoint_every=2),
        predict=PredictConfig(clip_length=3, overlap=1, mirror=True, middle_scale=False),
    )


@pytest.fixture
def first_masks_config(small_config: Config) -> Config:
    """The small settings for two steps, with masks before the training as by default."""
    consensus = dataclasses.replace(small_config.consensus, first_boxes=600)
    optimiser = dataclasses.replace(small_config.optimiser, steps=2)
    return dataclasses.replace(small_config, consensus=consensus, optimiser=optimiser)


@pytest.fixture(scope="session")
def small_clip() -> GeneratedClip:
    return generated_clip(num_frames=12, height=64, width=96, seed=0)


@pytest.fixture
def make_session(tmp_path: Path) -> Callable[[np.ndarray, BoxTracks], Session]:
    """Make a session of frames (T, H, W, 3), which are written as a TIFF stack beside it."""

    def make(frames: np.ndarray, boxes: BoxTracks) -> Session:
        import tifffile

        number = len(list(tmp_path.iterdir()))
        path = tmp_path / f"clip{number}.tif"
        tifffile.imwrite(path, frames, photometric="rgb", metadata={"axes": "TYXS"})
        return Session.create(tmp_path / f"session{number}", video_source=path, boxes=boxes)

    return make


@pytest.fixture
def small_session(make_session: Any, small_clip: GeneratedClip) -> Session:
    session: Session = make_session(small_clip.frames, small_clip.boxes(every=4))
    return session


@pytest.fixture(scope="session")
def make_tracks() -> Callable[..., BoxTracks]:
    """Make tracks 1, 2, … from one dictionary each: frame to box, None where it goes outside."""

    def make(
        *boxes: dict[int, Box | None],
        num_frames: int = 12,
        height: int = 64,
        width: int = 96,
        labels: tuple[str, ...] = (),
    ) -> BoxTracks:
        tracks = tuple(
            Track(
                number,
                labels[number - 1] if labels else "object",
                tuple(
                    Keyframe(frame, xyxy, outside=xyxy is None)
                    for frame, xyxy in sorted(each.items())
                ),
            )
            for number, each in enumerate(boxes, start=1)
        )
        return BoxTracks(num_frames, height, width, None, tracks)

    return make


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., Any]:
    """Return a config with some values of one section replaced."""

    def replace(config: Config, section: str, **values: Any) -> Config:
        changed = dataclasses.replace(getattr(config, section), **values)
        return dataclasses.replace(config, **{section: changed})

    return replace


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """Return a function that writes a video file of a moving texture and returns its path."""
    texture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)

    def write(
        path: Path,
        *,
        codec: str = "libx264",
        frames: int = 40,
        b_frames: int = 3,
        pts: Sequence[int] | None = None,
        size: tuple[int, int] = (48, 64),
        pixels: str = "yuv420p",
        options: dict[str, str] | None = None,
        mux: dict[str, str] | None = None,
        rotation: int = 0,
        rate: int = 25,
        gop: int = 12,
    ) -> Path:
        with av.open(str(path), "w", options=mux or {}) as container:
            stream: Any = container.add_stream(codec, rate=rate)
            stream.height, stream.width = size
            stream.pix_fmt = pixels
            stream.codec_context.gop_size = gop
            if codec == "libx264":
                x264 = {"g": str(gop), "keyint_min": str(gop), "sc_threshold": "0"}
                stream.options = {**x264, "bf": str(b_frames), **(options or {})}
            else:
                stream.codec_context.max_b_frames = b_frames
                stream.options = options or {}
            if rotation:
                stream.set_display_rotation(rotation)
            for i in range(frames):
                picture = np.roll(texture, 2 * i, axis=1)[: size[0], : size[1]]
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = i if pts is None else pts[i]
                frame.time_base = Fraction(1, rate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def scene() -> Scene:
    return make_scene(0)


@pytest.fixture(scope="session")
def settled(scene: Scene) -> Consensus:
    made = scene.consensus()
    made.fit()
    return made


@pytest.fixture
def model_config(small_config: Config) -> ModelConfig:
    return small_config.model


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that nobody may ask."""
    for name in ("HfApi", "hf_hub_download", "try_to_load_from_cache"):
        monkeypatch.setattr(hub_folder, name, never)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a hub that does not answer."""

    class Api:
        def model_info(self, *_: Any, timeout: float) -> Any:
            assert timeout <= 10
            raise ConnectionError("[Errno -2] Name or service not known\nand more.")

    monkeypatch.setattr(hub_folder, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(hub_folder, "HfApi", Api)
    monkeypatch.setattr(hub_folder, "hf_hub_download", never)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "films" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


@pytest.fixture
def session(tmp_path: Path, video: Path) -> Session:
    return Session.create(tmp_path / "project", video_source=video, boxes=BOXES)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command in this process."""

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def refuses(cli: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that must end with exit code 2 and one line; return what the line says."""

    def run(*words: object) -> str:
        result = cli(*words)
        assert result.code == 2, result.out + result.err
        assert result.out == ""
        assert result.err.startswith("maskfree: error: ")
        assert result.err.count("\n") == 1
        assert result.err.endswith("\n")
        return result.err.removeprefix("maskfree: error: ").rstrip("\n")

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated clip on disk: frames/, masks/, boxes.json."""
    folder = tmp_path_factory.mktemp("clip")
    generated_clip(NUM_FRAMES, HEIGHT, WIDTH, seed=0).write(folder)
    return folder


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview after every step, whatever time it takes."""
    eager = PreviewConfig(every=1, share=1.0)
    monkeypatch.setattr("maskfree.preview.PreviewConfig", lambda: eager)
    monkeypatch.setattr("maskfree.preview.Previewer._allowed", lambda _: float("inf"))


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the previews have these scores, one after the other."""

    def give(*scores: float | None) -> None:
        left = list(scores)
        monkeypatch.setattr("maskfree.preview.score_preview", lambda *_: left.pop(0))

    return give
