"""A whole network to begin with: from every kind of file, by names, refused where unfit."""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from transformers import Mask2FormerForUniversalSegmentation

from maskfree.beginning import began_with, beginning_of
from maskfree.config import PUBLISHED, Config, ModelConfig
from maskfree.errors import InputError, InputWarning
from maskfree.model.build import build_model, network_config, quiet_about_backbones
from maskfree.model.convert import convert_checkpoint
from maskfree.model.hub_folder import quiet
from maskfree.model.initial import (
    Pretrained,
    chosen_pretrained,
    find_pretrained,
    read_initial,
)
from maskfree.model.weights_about import classes_of
from maskfree.presets import preset
from maskfree.train import finetune

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.model.mask2former_video import Mask2FormerVideo
    from maskfree.session import Session

HEAD = "class_predictor.weight"
QUERIES = "model.transformer_module.queries_embedder.weight"
SWIN = ModelConfig(
    backbone="swin",
    backbone_sizes=(16, 32, 64, 128),
    backbone_depths=(1, 1, 1, 1),
    backbone_heads=(1, 2, 4, 4),
    backbone_window=4,
    hidden_size=32,
    feedforward_size=48,
    encoder_feedforward_size=32,
    num_heads=2,
    encoder_layers=1,
    decoder_layers=2,
    num_queries=4,
)


def learnt(config: ModelConfig, classes: list[str]) -> Any:
    """A Mask2Former of transformers whose every number is its own."""
    torch.manual_seed(3)
    made = network_config(config, num_classes=len(classes), num_queries=1)
    made.id2label = dict(enumerate(classes))
    with quiet_about_backbones():
        network = Mask2FormerForUniversalSegmentation(made).eval()
    with torch.no_grad():
        for value in network.state_dict().values():
            if value.is_floating_point():
                value.add_(torch.rand_like(value) * 0.1 + 0.01)
    return network


def saved(folder: Path, network: Any) -> dict[str, torch.Tensor]:
    with quiet():
        network.save_pretrained(folder)
    return dict(network.state_dict())


def begun(config: ModelConfig, source: Path | str, classes: list[str], queries: int = 1) -> Any:
    model = build_model(config, num_classes=len(classes), num_queries=queries)
    found = read_initial(str(source), config)
    assert found is not None
    return model, found.into(model, classes)


def equal(model: Mask2FormerVideo, weights: dict[str, torch.Tensor], but: str = HEAD) -> bool:
    own = model.state_dict()
    head = but.rpartition(".")[0]
    return all(torch.equal(own[name], weights[name]) for name in own if not name.startswith(head))


@pytest.mark.parametrize("kind", ["resnet", "swin"])
@pytest.mark.parametrize("form", ["folder", "safetensors", "bin", "state_dict"])
def test_a_checkpoint_of_transformers_is_taken_over(
    tmp_path: Path, model_config: ModelConfig, kind: str, form: str
) -> None:
    config = SWIN if kind == "swin" else model_config
    network = learnt(config, ["car", "dog", "cat"])
    weights = saved(tmp_path, network)
    source = tmp_path
    if form == "safetensors":
        source = tmp_path / "model.safetensors"
        (tmp_path / "config.json").unlink()
    elif form != "folder":
        names = safetensors.torch.load_file(tmp_path / "model.safetensors")
        state = names if form == "bin" else weights
        (tmp_path / "model.safetensors").unlink()
        if form == "bin":
            torch.save(state, tmp_path / "pytorch_model.bin")
        else:
            source = tmp_path / "model.pth"
            torch.save({"model": state}, source)
    classes = ["dog", "zebra"] if source == tmp_path else ["a", "b", "c"]
    model, words = begun(config, source, classes)
    assert equal(model, weights)
    head = model.state_dict()[HEAD]
    torch.testing.assert_close(head[-1], weights[HEAD][-1])  # "no object" is known always
    if source == tmp_path:
        assert words == f"weights of {source}; classes: known dog, new zebra"
        torch.testing.assert_close(head[0], weights[HEAD][1])
        assert not torch.equal(head[1], weights[HEAD][1])
    else:  # nobody says what they are called, and there are as many
        named = "by their order, since nobody names the outputs: a, b, c"
        assert words == f"weights of {source}; classes: {named}"
        torch.testing.assert_close(head, weights[HEAD])


def test_names_are_the_same_that_people_write_differently(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    weights = saved(tmp_path, learnt(model_config, ["flying_disc", "Motorbike", "tennis racket"]))
    model, words = begun(model_config, tmp_path, ["Tennis-Racket", "motorcycle", "frisbee"])
    assert words.endswith("classes: known Tennis-Racket, motorcycle, frisbee")
    torch.testing.assert_close(model.state_dict()[HEAD][:3], weights[HEAD][[2, 1, 0]])


def test_more_queries_repeat_those_that_are_there(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    weights = saved(tmp_path, learnt(model_config, ["cell"]))
    model, _ = begun(model_config, tmp_path, ["cell"], queries=6)
    found = model.state_dict()[QUERIES]
    torch.testing.assert_close(found, weights[QUERIES][[0, 1, 2, 3, 0, 1]])
    fewer = dataclasses.replace(model_config, num_queries=2)
    model, _ = begun(fewer, tmp_path, ["cell"])
    torch.testing.assert_close(model.state_dict()[QUERIES], weights[QUERIES][:2])


def test_another_network_is_refused_by_its_sizes(tmp_path: Path, model_config: ModelConfig) -> None:
    saved(tmp_path, learnt(SWIN, ["cell"]))
    with pytest.raises(InputError) as caught:
        begun(model_config, tmp_path, ["cell"])
    assert str(caught.value).startswith(
        f"{tmp_path} holds a Mask2Former with a Swin (16 channels, 1-1-1-1 blocks), 32 wide, with "
        "4 queries, and the settings describe a Mask2Former with a ResNet (8 channels, 1-1-1-1 "
        "blocks), 32 wide, with 4 queries; "
    )
    assert str(caught.value).endswith("Set the sizes under model. to fit, or give other weights.")
    wider = dataclasses.replace(SWIN, feedforward_size=64)
    with pytest.raises(InputError, match=r"2 tensors do not fit|tensors do not fit, first model"):
        begun(wider, tmp_path, ["cell"])


def test_a_published_network_is_named_by_its_preset() -> None:
    from maskfree.model.signature import Signature, preset_for

    for name in PUBLISHED:
        config = ModelConfig.published(name)
        with torch.device("meta"):
            model = build_model(config, num_classes=40, num_queries=1)
        found = Signature.of(model.state_dict())
        assert preset_for(found) == f" Take --preset {name}."
        assert found.queries == (200 if name == "swin-l" else 100)


@pytest.mark.parametrize(
    ("name", "backbone", "whole"),
    [
        ("r50", 23_454_912, 43_959_977),
        ("r101", None, 62_900_000),
        ("swin-l", 195_201_204, 215_511_709),
    ],
)
def test_the_published_networks_have_the_published_sizes(
    name: str, backbone: int | None, whole: int
) -> None:
    """Learnable numbers with 40 classes, of the released models' lists of parameters."""
    with torch.device("meta"):
        model = build_model(ModelConfig.published(name), num_classes=40, num_queries=1)
    encoder = model.model.pixel_level_module.encoder
    frozen = sum(p.numel() for norm in model.norms() for p in norm.parameters())
    unread = sum(p.numel() for n, p in encoder.named_parameters() if n.startswith("swin.layernorm"))
    own = sum(p.numel() for p in encoder.parameters()) - frozen - unread
    total = sum(p.numel() for p in model.parameters()) - frozen - unread
    assert backbone is None or own == backbone
    assert total == whole if backbone else abs(total - whole) < 50_000


def test_a_damaged_file_and_another_kind_are_said(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"\x10" + bytes(7) + b"{}")
    with pytest.raises(InputError, match="is not a readable safetensors file"):
        read_initial(str(broken), model_config)
    other = tmp_path / "resnet.pth"
    torch.save({"conv1.weight": torch.ones(2)}, other)
    with pytest.raises(InputError, match="holds no Mask2Former: no tensor is named"):
        read_initial(str(other), model_config)
    half = tmp_path / "half.pth"
    torch.save({"model.pixel_level_module.encoder.x": torch.ones(2)}, half)
    with pytest.raises(InputError, match="holds no whole Mask2Former: there is no class_predictor"):
        read_initial(str(half), model_config)
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(InputError, match=r'should hold a Mask2Former .*, got "resnet"'):
        read_initial(str(tmp_path), model_config)
    with pytest.raises(InputError, match="There is no folder /nowhere/at/all"):
        read_initial("/nowhere/at/all", model_config)


class Evil:
    def __reduce__(self) -> Any:
        return print, ("it ran",)


def test_a_folder_that_would_run_code_is_refused(
    tmp_path: Path, model_config: ModelConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, learnt(model_config, ["cell"]))
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(InputError, match="would run code"):
        read_initial(str(tmp_path), model_config)
    assert "it ran" not in capsys.readouterr().out


def test_numbers_that_are_none_are_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    saved(tmp_path, learnt(model_config, ["cell"]))
    file = tmp_path / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    tensors["model.transformer_module.level_embed.weight"][0, 0] = torch.nan
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r'level_embed.weight" of .* numbers that are none'):
        begun(model_config, tmp_path, ["cell"])


def test_what_has_no_place_is_named(tmp_path: Path, model_config: ModelConfig) -> None:
    saved(tmp_path, learnt(model_config, ["cell"]))
    file = tmp_path / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    tensors["model.more.weight"] = torch.ones(2)
    safetensors.torch.save_file(tensors, file, metadata={"format": "pt"})
    with pytest.warns(InputWarning, match=r"1 tensors have no place .*: model\.more\.weight"):
        begun(model_config, file, ["cell"])


@pytest.mark.usefixtures("unreachable")
def test_without_a_hub_it_begins_afresh_and_says_so(
    small_session: Session, small_config: Config
) -> None:
    model = dataclasses.replace(small_config.model, weights="somebody/mask2former")
    with pytest.warns(InputWarning, match="The network was to begin with the pretrained weights"):
        found = find_pretrained(model)
    assert found == Pretrained()
    assert found.kind == "fresh"
    with pytest.warns(InputWarning, match="model.weights=FOLDER"):  # the preset's own
        assert chosen_pretrained(preset("swin-t")) == Pretrained()
    config = dataclasses.replace(small_config, model=model)
    said = "The weights somebody/mask2former cannot be had here, and the run is to begin with them"
    with pytest.warns(InputWarning), pytest.raises(InputError, match=said):
        list(finetune(small_session, config, device="cpu"))
    assert not small_session.runs()


def test_another_network_is_refused_before_the_video_is_looked_at(
    tmp_path: Path, small_session: Session, small_config: Config, model_config: ModelConfig
) -> None:
    saved(tmp_path, learnt(model_config, ["cell"]))
    sizes = dataclasses.replace(small_config.model, hidden_size=64, weights=str(tmp_path))
    config = dataclasses.replace(small_config, model=sizes)
    looked: list[str] = []

    def watch(what: str, *_: int) -> None:
        looked.append(what)

    with pytest.raises(InputError, match=r"32 wide.*, and the settings describe .*64 wide"):
        list(finetune(small_session, config, device="cpu", watch=watch))
    assert not looked
    assert not small_session.runs()


def test_who_goes_on_from_a_run_names_no_weights(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu"))) == 4
    sizes = dataclasses.replace(small_config.model, weights=str(tmp_path / "other.pth"))
    config = dataclasses.replace(small_config, model=sizes)
    with pytest.raises(InputError, match=r"goes on from run 0001, and is to begin .*other\.pth"):
        list(finetune(small_session, config, device="cpu", start="last"))


@pytest.mark.usefixtures("no_hub")
def test_a_run_learns_gently_from_a_whole_network_and_says_so(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    labels = sorted({track.label for track in small_session.boxes.tracks})
    weights = saved(tmp_path / "coco", learnt(small_config.model, [*labels, "car"]))
    sizes = dataclasses.replace(
        small_config.model, weights=str(tmp_path / "coco"), frozen_norms=True
    )
    optimiser = dataclasses.replace(small_config.optimiser, backbone_multiplier=0.5)
    config = dataclasses.replace(small_config, model=sizes, optimiser=optimiser)
    assert len(list(finetune(small_session, config, device="cpu"))) == 4
    run = small_session.runs()[-1]
    assert began_with(run) == "whole"
    assert (
        beginning_of(run) == f"weights of {tmp_path / 'coco'}; classes: known {', '.join(labels)}"
    )
    now = safetensors.torch.load_file(run.weights_path)
    moved = {name: float((now[name] - weights[name]).abs().max()) for name in (QUERIES,)}
    assert 0 < moved[QUERIES] <= 4 * 0.1 * config.optimiser.learning_rate * 1.2
    norms = [name for name in now if "running_mean" in name or "normalization.weight" in name]
    assert norms
    assert all(torch.equal(now[name], weights[name]) for name in norms)


def test_a_run_begins_with_another_runs_weights(
    small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu"))) == 4
    first = small_session.runs()[-1]
    model, words = begun(small_config.model, first.weights_path, ["other"])
    assert words.endswith("classes: new other")
    assert equal(model, safetensors.torch.load_file(first.weights_path))
    about = json.loads(first.weights_path.with_suffix(".json").read_text())
    _, words = begun(small_config.model, first.weights_path, about["classes"])
    assert words.endswith(f"classes: known {', '.join(about['classes'])}")
    _, words = begun(small_config.model, first.path, about["classes"])  # its folder
    assert words.endswith(f"classes: known {', '.join(about['classes'])}")
    for name in ("model.safetensors", "model.json"):
        shutil.copy(first.path / name, first.path / name.replace("model", "best"))
    first.keep("best")
    _, words = begun(small_config.model, first.path, about["classes"])
    assert words.startswith(f"weights of {first.best_path};")


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_the_file_in_a_folder_of_transformers_has_its_names(
    tmp_path: Path, model_config: ModelConfig, form: str
) -> None:
    saved(tmp_path, learnt(model_config, ["car", "dog", "cat"]))
    path = tmp_path / "model.safetensors"
    if form == "bin":
        state = safetensors.torch.load_file(path)
        path.unlink()
        path = tmp_path / "pytorch_model.bin"
        torch.save(state, path)
    _, words = begun(model_config, path, ["dog", "zebra", "ape"])
    assert words == f"weights of {path}; classes: known dog, new zebra, ape"
    convert_checkpoint(path, tmp_path / "named.safetensors")
    assert classes_of(tmp_path / "named.safetensors", 3) == ("car", "dog", "cat")
    about = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**about, "id2label": {"0": "car"}}))
    assert classes_of(path, 3) == ()
