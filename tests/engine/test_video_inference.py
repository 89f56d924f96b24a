"""Results of one video: against a plain reference, clip by clip, and on bad pictures."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from maskfree import rle
from maskfree.config import InferenceConfig
from maskfree.datasets.types import DataVideo
from maskfree.errors import InputError
from maskfree.inference.frames import VideoFrames, network_size
from maskfree.inference.video_inference import infer_video
from maskfree.model.build import build_model

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo

HEIGHT, WIDTH, FRAMES = 70, 108, 5
CPU = torch.device("cpu")
SMALL = InferenceConfig(short_side=60, long_side=96)


@pytest.fixture(scope="module")
def model(small_config: Config) -> Mask2FormerVideo:
    torch.manual_seed(0)
    made = build_model(small_config.model, num_classes=3, num_queries=6)
    for parameter in made.parameters():  # else all queries say nearly the same
        parameter.data += 0.05 * torch.randn_like(parameter)
    return made


@pytest.fixture
def video(tmp_path: Path) -> DataVideo:
    rng = np.random.default_rng(0)
    files = tuple(f"v/{frame}.png" for frame in range(FRAMES))
    (tmp_path / "v").mkdir()
    coarse = rng.integers(0, 255, (FRAMES, 7, 11, 3), np.uint8)
    for file, pixels in zip(files, coarse, strict=True):
        Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(tmp_path / file)
    return DataVideo(7, "v", HEIGHT, WIDTH, files, ())


# ---- the frames


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (720, 1280, (360, 640)),
        (1280, 720, (640, 360)),
        (100, 1000, (133, 1333)),
        (5, 5, (360,) * 2),
    ],
)
def test_the_size_is_detectron2s(height: int, width: int, expected: tuple[int, int]) -> None:
    assert network_size(height, width, InferenceConfig()) == expected


def test_frames_are_resized_and_padded_to_what_normalises_to_zero(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    frames = VideoFrames(video, tmp_path, SMALL, model.mean)
    assert (frames.size, frames.padded, len(frames)) == ((60, 93), (64, 96), FRAMES)
    rgb = frames.read(range(1, 3))
    assert rgb.shape == (2, 3, 64, 96)
    inside = torch.zeros(64, 96, dtype=torch.bool)
    inside[:60, :93] = True
    normal = rgb - model.mean
    assert (normal[:, :, ~inside] == 0).all()
    assert normal[:, :, inside].abs().mean() > 0.1
    picture = Image.open(tmp_path / video.files[2]).resize((93, 60), Image.Resampling.BILINEAR)
    assert torch.equal(
        rgb[1, :, :60, :93], torch.tensor(np.array(picture) / 255).permute(2, 0, 1).float()
    )


@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_grey_pictures_and_those_with_alpha_have_three_colours(
    mode: str, model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    Image.open(tmp_path / video.files[0]).convert(mode).save(tmp_path / video.files[0])
    assert VideoFrames(video, tmp_path, SMALL, model.mean).read(range(1)).shape == (1, 3, 64, 96)


# ---- a whole video at once


def reference(model: Mask2FormerVideo, video: DataVideo, root: Path, top: int) -> list[tuple]:
    """Everything at once, as the released code does it."""
    model.eval()
    rgb = VideoFrames(video, root, SMALL, model.mean).read(range(FRAMES))
    with torch.no_grad():
        output = model(rgb[None])
    scores = output.class_logits[-1][0].softmax(-1)[:, :-1]
    masks = functional.interpolate(output.mask_logits[-1][0], (64, 96), mode="bilinear")
    masks = functional.interpolate(masks[..., :60, :93], (HEIGHT, WIDTH), mode="bilinear") > 0
    best, places = scores.flatten().topk(top)
    return [
        (int(place % 3), float(score), masks[place // 3].numpy())
        for score, place in zip(best, places, strict=True)
    ]


def decoded(segments: tuple[str | None, ...]) -> np.ndarray:
    empty = np.zeros((HEIGHT, WIDTH), bool)
    return np.array([empty if s is None else rle.decode(s, HEIGHT, WIDTH) for s in segments])


@pytest.mark.parametrize("at_once", [1, 2, 9])
def test_the_results_are_those_of_the_whole_video_at_once(
    at_once: int, model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, frames_at_once=at_once)
    model.train()
    found = infer_video(model, video, tmp_path, config, device=CPU)
    assert model.training
    expected = reference(model, video, tmp_path, 10)
    assert [each.class_index for each in found] == [each[0] for each in expected]
    assert [each.score for each in found] == pytest.approx([each[1] for each in expected])
    different = 0.0
    for each, (_, _, masks) in zip(found, expected, strict=True):
        different += (decoded(each.segments) != masks).mean()
    assert different / len(found) < 1e-3  # a logit may be zero but for rounding


def test_a_pictures_scores_know_how_sure_the_masks_are(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    picture = dataclasses.replace(video, files=video.files[:1])
    frames = VideoFrames(picture, tmp_path, SMALL, model.mean)
    plain = infer_video(model, picture, tmp_path, SMALL, device=CPU)
    found = infer_video(model, picture, tmp_path, SMALL, device=CPU, picture=True)
    model.eval()
    with torch.no_grad():
        logits = model(frames.read(range(1))[None]).mask_logits[-1][0]
        padded = functional.interpolate(logits, frames.padded, mode="bilinear")
        whole = functional.interpolate(padded[..., :60, :93], (HEIGHT, WIDTH), mode="bilinear")
        classes = model(frames.read(range(1))[None]).class_logits[-1][0].softmax(-1)[:, :-1]
    inside = whole[:, 0] > 0
    sure = (whole[:, 0].sigmoid() * inside).sum((1, 2)) / inside.sum((1, 2)).clamp_min(1)
    best = classes.flatten().topk(SMALL.top).indices
    wanted = sorted((classes * sure[:, None]).flatten()[best].tolist(), reverse=True)
    assert [each.score for each in found] == pytest.approx([s for s in wanted if s > 0], rel=1e-4)
    assert found[0].score < plain[0].score


def test_some_classes_and_some_results(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, top=3)
    found = infer_video(model, video, tmp_path, config, device=CPU, classes=[2, 0])
    every = reference(model, video, tmp_path, 18)
    wanted = [({2: 0, 0: 1}[number], score) for number, score, _ in every if number != 1][:3]
    assert [(each.class_index, each.score) for each in found] == [
        (number, pytest.approx(score)) for number, score in wanted
    ]


def test_a_mask_without_a_pixel_is_none(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, mask_threshold=0.99, top=18)
    found = infer_video(model, video, tmp_path, config, device=CPU)
    for each in found:
        for segment in each.segments:
            assert segment is None or rle.decode(segment, HEIGHT, WIDTH).any()
    assert any(segment is None for each in found for segment in each.segments)


# ---- clip by clip


def still(video: DataVideo) -> DataVideo:
    return dataclasses.replace(video, files=(video.files[0],) * 9)


@pytest.mark.parametrize(("length", "overlap"), [(5, 2), (4, 1), (3, 2), (1, 1)])
def test_a_still_video_is_one_track_a_query_whatever_the_clips(
    length: int, overlap: int, model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    """Each clip says the same, so that the means over clips are what one clip says."""
    config = dataclasses.replace(SMALL, clip_length=length, overlap=overlap, link_overlap=0.1)
    lone = dataclasses.replace(video, files=(video.files[0],) * length)
    once = infer_video(model, lone, tmp_path, SMALL, device=CPU)
    found = infer_video(model, still(video), tmp_path, config, device=CPU)
    shown = [each for each in once if any(each.segments)]
    assert shown
    for each in shown[:2]:
        same = [
            f
            for f in found
            if f.class_index == each.class_index and f.score == pytest.approx(each.score)
        ]
        assert same
        assert all(len(f.segments) == 9 for f in same)
        whole = decoded(each.segments)[0]
        assert max((decoded(f.segments)[0] == whole).mean() for f in same) > 0.9


def test_where_clips_overlap_the_mean_of_their_logits_counts(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One half is sure in both clips, one unsure: in sum it would pass, in the mean it does not."""

    def said(_: object, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        masks = torch.full((1, last - first, 16, 24), -9.0)
        masks[..., :8, :] = 9.0
        masks[..., 8:, :12] = 1.5  # below logit(0.9) = 2.2
        masks[:, 0 if first else -1, 8:, 12:] = 9.0 if first else -3.0  # 3 in the mean
        return torch.tensor([[0.2, 0.6, 0.1, 0.1]]), masks

    monkeypatch.setattr("maskfree.inference.video_inference._Inference._ask", said)
    config = dataclasses.replace(SMALL, clip_length=3, overlap=1, mask_threshold=0.9, top=1)
    (found,) = infer_video(model, video, tmp_path, config, device=CPU)
    assert (found.class_index, found.score) == (1, pytest.approx(0.6))
    masks = decoded(found.segments)
    assert masks[:, 10:30].all()
    assert not masks[:, 50:, :40].any()
    assert masks[:, 50, 80].tolist() == [False, False, True, False, False]


def test_clip_by_clip_what_is_nowhere_is_no_result(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As published, of a whole video it is one: a sure query whose mask has no pixel."""

    def said(_: object, first: int, last: int) -> tuple[torch.Tensor, torch.Tensor]:
        masks = torch.full((2, last - first, 16, 24), -9.0)
        masks[0, :, :8] = 9.0
        return torch.tensor([[0.5, 0.0, 0.0, 0.5], [0.0, 0.9, 0.0, 0.1]]), masks

    monkeypatch.setattr("maskfree.inference.video_inference._Inference._ask", said)
    for length, scores in ((0, [0.9, 0.5]), (3, [0.5])):
        config = dataclasses.replace(SMALL, clip_length=length, overlap=1)
        found = infer_video(model, video, tmp_path, config, device=CPU)
        assert [each.score for each in found] == pytest.approx(scores)


def test_a_short_video_ignores_the_clip_length(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    config = dataclasses.replace(SMALL, clip_length=FRAMES, overlap=2)
    assert infer_video(model, video, tmp_path, config, device=CPU) == infer_video(
        model, video, tmp_path, SMALL, device=CPU
    )


def test_no_frame_is_looked_at_twice(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans, read = [], VideoFrames.read

    def counted(self: VideoFrames, span: range) -> torch.Tensor:
        spans.extend(span)
        return read(self, span)

    monkeypatch.setattr(VideoFrames, "read", counted)
    config = dataclasses.replace(SMALL, clip_length=4, overlap=2)
    infer_video(model, still(video), tmp_path, config, device=CPU)
    assert spans == list(range(9))


# ---- bad pictures


def test_a_picture_of_another_size_is_named(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    Image.new("RGB", (10, 20)).save(tmp_path / video.files[3])
    with pytest.raises(
        InputError, match=r"3\.png is 10 x 20 pixels, its annotations are for 108 x 70"
    ):
        infer_video(model, video, tmp_path, SMALL, device=CPU)


def test_a_missing_or_deep_picture_is_named(
    model: Mask2FormerVideo, video: DataVideo, tmp_path: Path
) -> None:
    (tmp_path / video.files[4]).unlink()
    with pytest.raises(InputError, match=r"4\.png"):
        infer_video(model, video, tmp_path, SMALL, device=CPU)
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16)).save(tmp_path / video.files[4])
    with pytest.raises(InputError, match=r"4\.png holds uint16, not 8 bits"):
        infer_video(model, video, tmp_path, SMALL, device=CPU)
