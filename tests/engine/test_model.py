from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.config import OptimiserConfig
from maskfree.errors import InputError
from maskfree.model import mask2former_video
from maskfree.model.build import build_model
from maskfree.optimiser import make_optimiser

if TYPE_CHECKING:
    from maskfree.config import Config, ModelConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo, VideoOutput

HEIGHT, WIDTH, QUERIES = 64, 96, 4
GRID = (HEIGHT // 4, WIDTH // 4)


@pytest.fixture(scope="module")
def model(small_config: Config) -> Mask2FormerVideo:
    return fresh(small_config.model)


def fresh(config: ModelConfig, seed: int = 0, classes: int = 2) -> Mask2FormerVideo:
    torch.manual_seed(seed)
    return build_model(config, num_classes=classes, num_queries=1).eval()


def clip(frames: int = 3, batch: int = 1, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, frames, 3, HEIGHT, WIDTH, generator=generator)


@torch.no_grad()
def run(model: Mask2FormerVideo, rgb: torch.Tensor, boxes: torch.Tensor | None = None) -> Any:
    return model(rgb, boxes)


def last(output: VideoOutput) -> tuple[torch.Tensor, torch.Tensor]:
    return output.class_logits[-1], output.mask_logits[-1]


def box_tube(*boxes: tuple[int, int, int, int] | None, frames: int = 3) -> torch.Tensor:
    """Bool (1, N, T, H4, W4) of one box a track, the same in every frame; None: absent."""
    masks = torch.zeros(1, len(boxes), frames, *GRID, dtype=torch.bool)
    for n, box in enumerate(boxes):
        if box is not None:
            x0, y0, x1, y1 = box
            masks[0, n, :, y0:y1, x0:x1] = True
    return masks


def test_the_shapes_of_every_output(model: Mask2FormerVideo, small_config: Config) -> None:
    output = run(model, clip(frames=3, batch=2))
    layers = small_config.model.decoder_layers
    assert [tuple(c.shape) for c in output.class_logits] == [(2, QUERIES, 3)] * layers
    assert [tuple(m.shape) for m in output.mask_logits] == [(2, QUERIES, 3, *GRID)] * layers


def test_frames_that_are_the_same_get_the_same_masks(model: Mask2FormerVideo) -> None:
    output = run(model, clip(frames=1).expand(-1, 4, -1, -1, -1))
    for masks in output.mask_logits:
        for t in (1, 2, 3):
            torch.testing.assert_close(masks[:, :, t], masks[:, :, 0], rtol=0, atol=1e-5)
    # while the masks of a clip whose frames differ do differ
    other = run(model, clip(frames=2)).mask_logits[-1]
    assert float((other[:, :, 1] - other[:, :, 0]).abs().max()) > 1e-3


def test_one_query_is_one_object_in_all_frames(model: Mask2FormerVideo) -> None:
    # one embedding a query: changing one frame changes the masks of the others
    rgb = clip(frames=2)
    before = run(model, rgb).mask_logits[-1]
    rgb[:, 1] = clip(frames=1, seed=5)[:, 0]
    after = run(model, rgb).mask_logits[-1]
    assert float((after[:, :, 0] - before[:, :, 0]).abs().max()) > 1e-4


def test_clips_of_a_batch_do_not_see_each_other(model: Mask2FormerVideo) -> None:
    rgb = clip(frames=2, batch=2)
    boxes = torch.cat([box_tube((2, 2, 8, 9), frames=2), box_tube((10, 4, 20, 15), frames=2)])
    together = last(run(model, rgb, boxes))
    for b in (0, 1):
        alone = last(run(model, rgb[b : b + 1], boxes[b : b + 1]))
        for found, expected in zip(together, alone, strict=True):
            torch.testing.assert_close(found[b], expected[0], rtol=1e-4, atol=1e-5)


def test_the_order_of_frames_matters_by_their_time_positions(model: Mask2FormerVideo) -> None:
    rgb = clip(frames=3)
    forth, back = last(run(model, rgb))[1], last(run(model, rgb.flip(1)))[1].flip(2)
    assert float((forth - back).abs().max()) > 1e-5


def test_time_positions_by_hand() -> None:
    positions = mask2former_video._time_positions(4, 6)
    time = torch.tensor([0.25, 0.5, 0.75, 1.0]) * 2 * torch.pi
    for pair in range(3):
        angle = time / 10000 ** (2 * pair / 6)
        torch.testing.assert_close(positions[:, 2 * pair], angle.sin())
        torch.testing.assert_close(positions[:, 2 * pair + 1], angle.cos())


def test_one_frame_is_transformers_mask2former(
    monkeypatch: pytest.MonkeyPatch, small_config: Config
) -> None:
    from transformers import Mask2FormerForUniversalSegmentation

    # five outputs: each of the three feature levels is attended to, and the first one again
    model = fresh(dataclasses.replace(small_config.model, decoder_layers=5))
    torch.manual_seed(1)
    reference = Mask2FormerForUniversalSegmentation(model.config).eval()
    with torch.no_grad():
        for parameter in reference.parameters():  # biases and embeddings that start at zero too
            parameter.add_(torch.randn_like(parameter) * 0.05)
    names = [k for k in reference.state_dict() if not k.startswith("criterion.")]
    assert list(model.state_dict()) == names
    model.load_state_dict({k: reference.state_dict()[k] for k in names})
    monkeypatch.setattr(
        mask2former_video, "_time_positions", lambda frames, channels: torch.zeros(frames, channels)
    )
    rgb = clip(frames=1)
    with torch.no_grad():
        expected = reference((rgb[:, 0] - model.mean) / model.std)
    classes, masks = last(run(model, rgb))
    torch.testing.assert_close(classes, expected.class_queries_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(masks[:, :, 0], expected.masks_queries_logits, rtol=1e-3, atol=1e-3)


def test_only_what_is_wanted_is_made(model: Mask2FormerVideo) -> None:
    rgb, boxes = clip(), box_tube((1, 2, 9, 12), (12, 4, 23, 15))
    whole = run(model, rgb, boxes)
    with torch.no_grad():
        features = model.features(rgb)
        some = model.decode(features, boxes, rows=2)
        final = model.decode(features, boxes, rows=1, deep=False)
    for found, expected in zip(some.mask_logits, whole.mask_logits, strict=True):
        torch.testing.assert_close(found, expected[:, :2])
    for found, expected in zip(some.class_logits, whole.class_logits, strict=True):
        torch.testing.assert_close(found, expected)
    assert len(final.mask_logits) == len(final.class_logits) == 1
    torch.testing.assert_close(final.mask_logits[0], whole.mask_logits[-1][:, :1])
    torch.testing.assert_close(final.class_logits[0], whole.class_logits[-1])


def test_the_small_mask_of_a_query_is_its_mask_made_small() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 8, *GRID, generator=generator)
    embedding = torch.randn(2, 4, 8, generator=generator)
    large = mask2former_video._mask_logits(embedding, features)
    for size in ((2, 3), (4, 6), (8, 12)):
        found = mask2former_video._mask_logits(embedding, mask2former_video._shrunk(features, size))
        torch.testing.assert_close(found, mask2former_video._shrunk(large, size))


@pytest.fixture
def plain_model(small_config: Config) -> Mask2FormerVideo:
    return fresh(small_config.model, seed=3)


def blocked(
    model: Mask2FormerVideo, logits: torch.Tensor, boxes: torch.Tensor | None, size: tuple[int, int]
) -> torch.Tensor:
    """Blocked tokens of the first head: (Q, T, h, w)."""
    heads, frames = model.config.num_attention_heads, logits.shape[2]
    small = mask2former_video._shrunk(logits, size)
    found = model._blocked(small, boxes).unflatten(0, (-1, heads))
    for head in range(1, heads):
        assert torch.equal(found[:, head], found[:, 0])
    return found[0, 0].unflatten(1, (frames, *size))


def test_a_query_attends_to_its_own_mask_only(plain_model: Mask2FormerVideo) -> None:
    logits = torch.full((1, 2, 1, 4, 4), -5.0)
    logits[0, 0, 0, 1, 2] = 5.0
    found = blocked(plain_model, logits, None, (4, 4))
    assert (~found[0, 0]).nonzero().tolist() == [[1, 2]]
    assert not found[1].any()  # no mask at all: everywhere


def test_a_prompted_query_attends_inside_its_boxes_only(plain_model: Mask2FormerVideo) -> None:
    logits = torch.full((1, 3, 2, 4, 4), 5.0)
    logits[0, 1] = -5.0
    boxes = torch.zeros(1, 2, 2, 4, 4, dtype=torch.bool)
    boxes[0, 0, 0, :2, :2] = True
    boxes[0, 1, 1, 3, 3] = True
    found = ~blocked(plain_model, logits, boxes, (4, 4))
    assert torch.equal(found[0], boxes[0, 0])  # the mask, cut to the box; nothing in frame 1
    assert torch.equal(found[1], boxes[0, 1])  # no mask in the box: all of the box
    assert found[2].all()  # not prompted


def test_an_absent_track_attends_everywhere_its_mask_is(plain_model: Mask2FormerVideo) -> None:
    logits = torch.full((1, 1, 1, 4, 4), -5.0)
    logits[0, 0, 0, 0] = 5.0
    found = ~blocked(plain_model, logits, torch.zeros(1, 1, 1, 4, 4, dtype=torch.bool), (4, 4))
    assert torch.equal(found, logits[0] > 0)


def test_a_box_smaller_than_a_token_still_lets_it_through(plain_model: Mask2FormerVideo) -> None:
    boxes = torch.zeros(1, 1, 1, 16, 16, dtype=torch.bool)
    boxes[0, 0, 0, 5, 9] = True
    found = ~blocked(plain_model, torch.full((1, 1, 1, 16, 16), -5.0), boxes, (4, 4))
    assert found[0, 0].nonzero().tolist() == [[1, 2]]


def test_prompting_changes_what_is_seen_and_no_track_is_no_prompt(model: Mask2FormerVideo) -> None:
    rgb = clip()
    plain = last(run(model, rgb))[1]
    assert torch.equal(last(run(model, rgb, box_tube()))[1], plain)
    left, right = (last(run(model, rgb, box_tube(b)))[1] for b in ((0, 0, 6, 16), (18, 0, 24, 16)))
    assert float((left[0, 0] - right[0, 0]).abs().max()) > 1e-3


def test_prompted_tracks_change_places_with_their_boxes(model: Mask2FormerVideo) -> None:
    rgb = clip()
    one, other = (1, 2, 9, 12), (12, 4, 23, 15)
    first = last(run(model, rgb, box_tube(one, other, None)))
    second = last(run(model, rgb, box_tube(other, one, None)))
    order = [1, 0, 2, 3]
    for here, there in zip(first, second, strict=True):
        torch.testing.assert_close(here[:, order], there, rtol=1e-4, atol=1e-5)


def test_prompts_of_half_precision_do_not_overflow() -> None:
    features = torch.full((1, 2, 8, 256, 256), 10.0, dtype=torch.float16)  # 1.3 million in sum
    boxes = torch.ones(1, 1, 2, 256, 256, dtype=torch.bool)
    queries = torch.zeros(3, 1, 8)
    for enabled in (False, True):
        with torch.autocast("cpu", dtype=torch.float16, enabled=enabled):
            started, _ = mask2former_video._prompt(queries, queries, features, boxes)
        torch.testing.assert_close(started[0].float(), torch.full((1, 8), 10.0))


def test_all_parameters_learn(plain_model: Mask2FormerVideo) -> None:
    plain_model.train()
    output = plain_model(clip(frames=2), None)
    total = sum((t**2).sum() for t in (*output.class_logits, *output.mask_logits))
    total.backward()
    still = [k for k, p in plain_model.named_parameters() if p.grad is None]
    assert still == []


def test_the_same_seed_makes_the_same_network(small_config: Config) -> None:
    first, second, third = (fresh(small_config.model, seed=s).state_dict() for s in (4, 4, 5))
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert not all(torch.equal(first[k], third[k]) for k in first)


def test_there_are_as_many_queries_as_tracks_and_never_fewer_than_set(
    small_config: Config,
) -> None:
    for tracks, queries in ((1, 4), (4, 4), (24, 24)):
        model = build_model(small_config.model, num_classes=1, num_queries=tracks)
        assert model.config.num_queries == queries
        output = run(model.eval(), clip(frames=1))
        assert output.mask_logits[-1].shape[1] == queries


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 3, 64, 64), "rgb must be (B, T, 3, H, W), got (1, 3, 64, 64)."),
        ((1, 2, 1, 64, 64), "rgb must be (B, T, 3, H, W), got (1, 2, 1, 64, 64)."),
        (
            (1, 2, 3, 64, 80),
            "Frame sides must be multiples of 32, got 64x80. Pad or resize the clip.",
        ),
    ],
)
def test_a_wrong_shape_is_refused(
    model: Mask2FormerVideo, shape: tuple[int, ...], expected: str
) -> None:
    with pytest.raises(ValueError) as caught:
        model(torch.zeros(shape))
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"hidden_size": 48},
            "model.hidden_size must be a multiple of 32 (the groups of its norms), got 48. "
            "Take 32.",
        ),
        (
            {"hidden_size": 64, "num_heads": 3},
            "model.hidden_size must be a multiple of 3 (num_heads), got 64. Take 96.",
        ),
        (
            {"backbone_sizes": (8, 8, 16)},
            "model.backbone_sizes must be 4 numbers above 0, one for each stage, got 8,8,16.",
        ),
        (
            {"backbone_depths": (1, 1, 1, 0)},
            "model.backbone_depths must be 4 numbers above 0, one for each stage, got 1,1,1,0.",
        ),
    ],
)
def test_sizes_that_make_no_network_are_refused(
    small_config: Config, values: dict[str, Any], expected: str
) -> None:
    config = dataclasses.replace(small_config.model, **values)
    with pytest.raises(InputError) as caught:
        build_model(config, num_classes=1, num_queries=1)
    assert str(caught.value) == expected


def test_norms_are_measured_on_the_clips_and_nothing_else_changes(small_config: Config) -> None:
    network = fresh(small_config.model)
    dark, light = (clip(seed=seed)[0] * scale for seed, scale in ((1, 0.2), (2, 1.0)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.measure_norms([dark, light])
    assert not network.training
    first = next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d))
    embedder = network.model.pixel_level_module.encoder.embedder.embedder
    seen = [embedder.convolution((c - network.mean[0]) / network.std[0]) for c in (dark, light)]
    assert embedder.normalization is first
    expected = torch.stack([s.mean((0, 2, 3)) for s in seen]).mean(0)
    torch.testing.assert_close(first.running_mean, expected)
    spread = torch.stack([s.transpose(0, 1).flatten(1).var(1) for s in seen]).mean(0)
    torch.testing.assert_close(first.running_var, spread)
    assert first.momentum == pytest.approx(0.1)  # as in training again
    for name, value in network.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(value, before[name])


def test_measuring_norms_again_forgets_what_was_measured(small_config: Config) -> None:
    one, other = fresh(small_config.model), fresh(small_config.model)
    one.measure_norms([clip(seed=1)[0]])
    for network in (one.train(), other):
        network.measure_norms([clip(seed=2)[0]])
    assert one.training
    for name, value in other.state_dict().items():
        assert torch.equal(value, one.state_dict()[name]), name


def test_frozen_norms_neither_follow_the_clips_nor_learn(model_config: ModelConfig) -> None:
    config = dataclasses.replace(model_config, frozen_norms=True)
    model = build_model(config, num_classes=1, num_queries=1).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    optimiser = make_optimiser(model, OptimiserConfig(), backbone_multiplier=0.5)
    known = {id(p) for group in optimiser.param_groups for p in group["params"]}
    frozen = [p for norm in model.norms() for p in norm.parameters()]
    assert frozen
    assert not any(id(p) in known or p.requires_grad for p in frozen)
    model(torch.rand(1, 2, 3, 64, 64))
    model.measure_norms([torch.rand(2, 3, 64, 64)])
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(norm.training for norm in model.train().norms())
    assert build_model(model_config, num_classes=1, num_queries=1).train().norms()[0].training


def test_the_pixel_decoder_may_have_a_width_of_its_own(model_config: ModelConfig) -> None:
    config = dataclasses.replace(model_config, feedforward_size=64, encoder_feedforward_size=48)
    state = build_model(config, num_classes=1, num_queries=1).state_dict()
    pixels = "model.pixel_level_module.decoder.encoder.layers.0.fc1.weight"
    assert len(state[pixels]) == 48
    assert len(state["model.transformer_module.decoder.layers.0.fc1.weight"]) == 64
