"""Checkpoints of detectron2: every name has its place, and the network computes the same."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from maskfree.cli import main
from maskfree.config import ModelConfig
from maskfree.errors import InputError
from maskfree.model.build import build_model
from maskfree.model.convert import convert_checkpoint
from maskfree.model.detectron2_names import TRAINING_ONLY
from maskfree.model.from_detectron2 import Converted, from_detectron2
from maskfree.model.initial import read_initial
from maskfree.model.mask2former_video import FrameFeatures, Mask2FormerVideo
from maskfree.model.weights_about import classes_of
from released_network import Weights, pixel_decoder, resnet, swin, video_decoder

GOLDEN = Path(__file__).parents[3] / "shared/golden"
SIZE, HEADS, FRAMES, QUERIES, CLASSES = 32, 4, 2, 5, 3
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def normed_of(rgb: torch.Tensor) -> torch.Tensor:
    return (rgb.flatten(0, 1) - MEAN[:, None, None]) / STD[:, None, None]


def computed(kind: str, rgb: torch.Tensor, w: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the published network makes of a clip; ``w`` becomes its checkpoint."""
    normed = normed_of(rgb)
    if kind == "resnet":
        features = resnet(w, normed, [32, 64, 96, 128], [1, 2, 1, 1])
    else:
        features = swin(w, normed, 32, [2, 2, 2, 2], [2, 2, 4, 4], 4)
    fine, levels = pixel_decoder(w, features, SIZE, HEADS, 2, 48)
    return video_decoder(
        w,
        fine,
        levels,
        frames=FRAMES,
        queries=QUERIES,
        classes=CLASSES,
        heads=HEADS,
        layers=4,
        inner=56,
    )[-1]


def network(found: Converted) -> Mask2FormerVideo:
    model = Mask2FormerVideo(found.config).eval()
    told = model.load_state_dict(found.weights, strict=False)
    assert not told.unexpected_keys
    return model


@pytest.mark.parametrize("kind", ["resnet", "swin"])
def test_the_network_computes_what_it_did_there(kind: str) -> None:
    torch.manual_seed(0)
    rgb, w = torch.rand(1, FRAMES, 3, 96, 128), Weights()
    with torch.no_grad():
        classes, masks = computed(kind, rgb, w)
        w["criterion.empty_weight"] = torch.ones(CLASSES + 1)
        found = from_detectron2(w)
        assert (found.left_over, found.missing) == ((), ())
        assert found.training_only == ("criterion.empty_weight",)
        assert found.used == len(w) - 1
        ours = network(found)(rgb)
    torch.testing.assert_close(ours.mask_logits[-1], masks, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.class_logits[-1], classes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "depths"),
    [
        ("resnet", [3, 4, 6, 3]),
        ("swin", [2, 2, 2, 2]),
        ("resnet", [3, 4, 23, 3]),
        pytest.param("swin", [2, 2, 18, 2], marks=pytest.mark.slow),
    ],
)
def test_every_block_at_the_released_sizes(kind: str, depths: list[int]) -> None:
    """R50, R101 and Swin-L (with a shorter third stage first): random weights, block by block.

    Each block gets what the published formulas made before it, so that no fault hides in another.
    """
    torch.manual_seed(0)
    rgb, w, heads = torch.rand(1, FRAMES, 3, 64, 96), Weights(), 8
    with torch.no_grad():
        if kind == "resnet":
            maps = resnet(w, normed_of(rgb), [256, 512, 1024, 2048], depths)
        else:
            maps = swin(w, normed_of(rgb), 192, depths, [6, 12, 24, 48], 12)
        fine, levels = pixel_decoder(w, maps, 256, heads, 6, 1024)
        outputs = video_decoder(
            w,
            fine,
            levels,
            frames=FRAMES,
            queries=20,
            classes=40,
            heads=heads,
            layers=9,
            inner=2048,
        )
        found = from_detectron2(w)
        assert (found.left_over, found.missing) == ((), ())
        assert found.used == len(w)
        model = network(found)
        pixels = model.model.pixel_level_module
        for own, expected in zip(pixels.encoder(normed_of(rgb)).feature_maps, maps, strict=True):
            close(own, expected)
        decoded = pixels.decoder(maps, output_hidden_states=True)
        close(decoded.mask_features, fine)
        for own, expected in zip(decoded.multi_scale_features, levels, strict=True):
            close(own, expected)
        seen = FrameFeatures(fine[None], tuple(level[None] for level in levels))
        ours = model.decode(seen)
    assert len(outputs) == len(ours.class_logits) == 10
    for n, (classes, masks) in enumerate(outputs):
        close(ours.class_logits[n], classes)
        close(ours.mask_logits[n], masks)


def close(own: torch.Tensor, expected: torch.Tensor) -> None:
    """To 1e-4 of the largest number: what is computed in another order, in single precision."""
    assert own.shape == expected.shape
    assert float((own - expected).abs().max()) < 1e-4 * float(expected.abs().max())


def small() -> Weights:
    """Return a checkpoint of the smallest published network, with random weights."""
    w = Weights()
    with torch.no_grad():
        computed("resnet", torch.rand(1, FRAMES, 3, 64, 64), w)
    return w


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the released models' names are not here")
@pytest.mark.parametrize(
    ("name", "queries", "classes", "learnt"),
    [
        ("r50", 100, 40, 559),
        ("r101", 100, 40, 814),
        ("swin_l", 200, 40, 651),
        ("r50_coco_image", 100, 80, 559),
    ],
)
def test_every_name_of_the_released_models(
    name: str, queries: int, classes: int, learnt: int
) -> None:
    keys = json.loads((GOLDEN / f"checkpoint_keys_{name}.json").read_text())["keys"]
    assert len(keys) == learnt
    tensors = {key: torch.empty(shape, device="meta") for key, shape in keys.items()}
    found = from_detectron2(tensors)
    assert (found.left_over, found.missing) == ((), ())
    assert all(TRAINING_ONLY.fullmatch(key) for key in found.training_only)
    assert found.used + len(found.training_only) == learnt
    assert (found.config.num_queries, found.config.num_labels) == (queries, classes)
    assert (found.config.num_attention_heads, found.config.decoder_layers) == (8, 10)
    older = dict(tensors)
    older["sem_seg_head.predictor.static_query.weight"] = older.pop(
        "sem_seg_head.predictor.query_feat.weight"
    )
    assert from_detectron2(older).missing == ()


def test_nothing_is_passed_over_in_silence() -> None:
    w = small()
    w["sem_seg_head.predictor.something.weight"] = torch.ones(2)
    del w["sem_seg_head.predictor.decoder_norm.bias"]
    w["backbone.res9.0.conv1.weight"] = torch.ones(2, 2)
    found = from_detectron2(w)
    assert found.left_over == (
        "sem_seg_head.predictor.something.weight",
        "backbone.res9.0.conv1.weight",
    )
    assert found.missing == ("model.transformer_module.decoder.layernorm.bias",)
    assert found.report().endswith(
        "no place here: sem_seg_head.predictor.something.weight, backbone.res9.0.conv1.weight (2); "
        "missing: model.transformer_module.decoder.layernorm.bias (1)"
    )


def change(name: str, value: torch.Tensor | None) -> Weights:
    w = small()
    if value is None:
        del w[name]
    else:
        w[name] = value
    return w


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("sem_seg_head.predictor.class_embed.weight", None, "its network cannot be told"),
        ("backbone.stem.conv1.weight", None, r'has no "backbone\.stem\.conv1\.weight"'),
        (
            "sem_seg_head.predictor.level_embed.weight",
            torch.ones(3, 9),
            r"has the shape \(3, 9\), expected 1 times \(3, 32\)",
        ),
        (
            "sem_seg_head.predictor.transformer_self_attention_layers.0.self_attn.in_proj_bias",
            torch.ones(97),
            "expected a multiple of 3 rows",
        ),
        (
            "sem_seg_head.predictor.static_query.weight",
            torch.ones(QUERIES, SIZE),
            "two tensors for one place",
        ),
        (
            "sem_seg_head.predictor.level_embed.weight",
            torch.full((3, SIZE), torch.nan),
            "holds numbers that are none",
        ),
        (
            "sem_seg_head.pixel_decoder.mask_features.weight",
            torch.ones(33, 33, 1, 1),
            "sizes of the checkpoint's tensors make no Mask2Former|has the shape",
        ),
    ],
)
def test_checkpoints_at_fault(name: str, value: torch.Tensor | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        from_detectron2(change(name, value))


def test_the_command_says_what_became_of_each_tensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    w = small()
    w["criterion.empty_weight"] = torch.ones(CLASSES + 1)
    with open(tmp_path / "model_final.pkl", "wb") as file:
        pickle.dump({"model": {key: value.numpy() for key, value in w.items()}}, file)
    words = ["convert-weights", str(tmp_path / "model_final.pkl"), str(tmp_path / "a.safetensors")]
    assert main([*words, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["used"], said["left_over"], said["missing"]) == (len(w) - 1, [], [])
    assert said["training_only"] == ["criterion.empty_weight"]
    written = safetensors.torch.load_file(tmp_path / "a.safetensors")
    expected = from_detectron2(w).weights
    assert written.keys() == expected.keys()
    assert all(torch.equal(written[key], expected[key]) for key in written)
    assert main(words) == 0
    assert "resnet, 5 queries and 3 classes" in capsys.readouterr().out
    assert classes_of(tmp_path / "a.safetensors", 3) == ()
    (tmp_path / "names.txt").write_text("cat\n\n  big dog \nsnake\n")
    assert main([*words, "--classes", str(tmp_path / "names.txt")]) == 0
    assert classes_of(tmp_path / "a.safetensors", 3) == ("cat", "big dog", "snake")
    capsys.readouterr()
    assert main([*words, "--classes", "ovis"]) == 2
    assert capsys.readouterr().err == (
        "maskfree: error: --classes must name as many classes as "
        f"{tmp_path / 'model_final.pkl'} has outputs, got 25 for 3. Give the list that it was "
        "trained on.\n"
    )
    assert main([*words, "--classes", "ytvis-2019"]) == 2
    assert 'Did you mean "ytvis2019"?' in capsys.readouterr().err


@pytest.mark.parametrize("converted", [False, True])
def test_a_network_begins_with_it(tmp_path: Path, converted: bool) -> None:
    w = small()
    config = ModelConfig(
        backbone_sizes=(32, 64, 96, 128),
        backbone_depths=(1, 2, 1, 1),
        backbone_layer="bottleneck",
        hidden_size=SIZE,
        feedforward_size=56,
        encoder_feedforward_size=48,
        num_heads=HEADS,
        encoder_layers=2,
        decoder_layers=5,
        num_queries=QUERIES,
    )
    path = tmp_path / "model_final.pth"
    torch.save({"model": dict(w)}, path)
    if converted:
        convert_checkpoint(path, tmp_path / "a.safetensors", classes=["cat", "dog", "snake"])
        path = tmp_path / "a.safetensors"
    found = read_initial(str(path), config)
    assert found is not None
    model = build_model(config, num_classes=2, num_queries=1)
    words = found.into(model, ["snake", "cat"])
    known = "known snake, cat" if converted else "new snake, cat"
    assert words == f"weights of {path}; classes: {known}"
    expected = from_detectron2(w).weights
    own = model.state_dict()
    same = [key for key in expected if not key.startswith("class_predictor.")]
    assert all(torch.equal(own[key], expected[key]) for key in same)
    rows = [2, 0] if converted else []
    head = "class_predictor.weight"
    assert torch.equal(own[head][: len(rows)], expected[head][rows])
    assert torch.equal(own[head][-1], expected[head][-1])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("backbone.res2.1000000.conv1.weight", torch.ones(1), "names a layer number 1000000"),
        (
            "sem_seg_head.predictor.class_embed.weight",
            torch.tensor(1.0),
            r"has the shape \(\), expected 2 dimensions at least",
        ),
        (
            "sem_seg_head.predictor.class_embed.bias",
            torch.tensor(1.0),
            r"has the shape \(\), expected a multiple of 1 rows",
        ),
        (
            "sem_seg_head.predictor.level_embed.weight",
            torch.ones(3, SIZE, dtype=torch.complex64),
            "must hold real numbers, got torch.complex64",
        ),
    ],
)
def test_tensors_that_claim_too_much_or_say_nothing(
    name: str, value: torch.Tensor, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        from_detectron2(change(name, value))


def test_half_precision_becomes_single() -> None:
    w = small()
    halves = {key: value.half() for key, value in w.items()}
    found = from_detectron2(halves).weights
    assert {value.dtype for value in found.values()} == {torch.float32}
