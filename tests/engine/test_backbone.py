from __future__ import annotations

import dataclasses
import errno
import http.server
import importlib
import json
import pickle
import socket
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch
from huggingface_hub.utils import close_session
from transformers import (
    MobileNetV2Config,
    ResNetBackbone,
    ResNetConfig,
    ResNetForImageClassification,
    ResNetModel,
)
from transformers.utils import logging as transformers_logging

from maskfree.cli import main
from maskfree.config import Config, ModelConfig
from maskfree.errors import InputError, InputWarning
from maskfree.model import backbone
from maskfree.model.backbone import backbone_config, pretrained_backbone, quiet
from maskfree.model.checkpoint import load_model, read_tensors
from maskfree.model.mask2former_video import build_model
from maskfree.predict import predict
from maskfree.settings import iter_settings, override
from maskfree.train import Trainer, finetune

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskfree.session import Session

CPU = torch.device("cpu")
HUB_ID = "somebody/resnet-8"
ENCODER = "model.pixel_level_module.encoder."


@pytest.fixture
def model_config(small_config: Config) -> ModelConfig:
    return small_config.model


def resnet(config: ModelConfig, kind: Any = ResNetModel) -> Any:
    """A ResNet whose every number is its own, the running statistics too."""
    torch.manual_seed(11)
    made = kind(backbone_config(config)).eval()
    for value in made.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1)
        else:
            value.fill_(7)
    return made


def write(folder: Path, config: ModelConfig, kind: Any = ResNetModel) -> dict[str, torch.Tensor]:
    """Save such a ResNet as the hub has it; return its tensors by their names in a backbone."""
    made = resnet(config, kind)
    with quiet():
        made.save_pretrained(folder)
    return {
        key.removeprefix("resnet."): value
        for key, value in made.state_dict().items()
        if not key.startswith("classifier.")
    }


def naming(config: Config, weights: str | Path) -> Config:
    model = dataclasses.replace(config.model, backbone_weights=str(weights))
    return dataclasses.replace(config, model=model)


def gently(config: Config) -> Config:
    optimiser = dataclasses.replace(config.optimiser, backbone_multiplier=0.1)
    return dataclasses.replace(config, optimiser=optimiser)


def multiplier_of(trainer: Trainer) -> float:
    of_backbone = trainer._optimiser.param_groups[1]
    first = next(trainer.model.model.pixel_level_module.encoder.parameters())
    assert of_backbone["params"][0] is first
    return float(of_backbone["multiplier"])


def told(config: ModelConfig, weights: str | Path) -> str:
    """Return the refusal of ``weights``, which is one line."""
    with pytest.raises(InputError) as caught:
        pretrained_backbone(dataclasses.replace(config, backbone_weights=str(weights)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def encoder_of(trainer: Trainer) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = trainer.model.model.pixel_level_module.encoder.state_dict()
    return state


def trainer_of(session: Session, config: Config, **how: Any) -> Trainer:
    return Trainer(session.open_video(), session.boxes, config, device=CPU, seed=1, **how)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return list(first) == list(second) and all(torch.equal(first[k], second[k]) for k in first)


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody should have asked")


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that nobody may ask."""
    for name in ("HfApi", "hf_hub_download", "try_to_load_from_cache"):
        monkeypatch.setattr(backbone, name, never)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and a hub that does not answer."""

    class Api:
        def model_info(self, *_: Any, timeout: float) -> Any:
            assert timeout <= 10
            raise ConnectionError("[Errno -2] Name or service not known\nand more.")

    monkeypatch.setattr(backbone, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(backbone, "HfApi", Api)
    monkeypatch.setattr(backbone, "hf_hub_download", never)


# the network


def test_the_backbone_of_the_default_is_what_it_was() -> None:
    expected = ResNetConfig(
        embedding_size=32,
        hidden_sizes=[32, 64, 96, 128],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    assert backbone_config(ModelConfig()).to_dict() == expected.to_dict()


@pytest.mark.parametrize("config", [ModelConfig.resnet18(), ModelConfig.resnet50()])
def test_the_stem_of_the_published_resnets_has_64_channels(config: ModelConfig) -> None:
    assert backbone_config(config).embedding_size == 64


def test_the_published_sizes_give_the_published_networks() -> None:
    counts = []
    for config in (ModelConfig.resnet18(), ModelConfig.resnet50()):
        with torch.device("meta"):
            made = ResNetBackbone(backbone_config(config))
        counts.append(sum(p.numel() for p in made.parameters()))
    # torchvision's 11 689 512 and 25 557 032 without their classifiers (1000 classes)
    assert counts == [11_689_512 - 513 * 1000, 25_557_032 - 2049 * 1000]


def test_bottlenecks_need_sizes_that_can_be_divided(model_config: ModelConfig) -> None:
    config = dataclasses.replace(
        model_config, backbone_layer="bottleneck", backbone_sizes=(8, 8, 18, 16)
    )
    with pytest.raises(InputError) as caught:
        build_model(config, num_classes=1, num_queries=1)
    assert str(caught.value) == (
        "model.backbone_sizes must be multiples of 4 with bottlenecks, got 8,8,18,16."
    )


@pytest.mark.parametrize("layer", ["basic", "bottleneck"])
def test_a_network_of_either_kind_of_block_sees(model_config: ModelConfig, layer: str) -> None:
    config = dataclasses.replace(model_config, backbone_layer=layer)
    network = build_model(config, num_classes=1, num_queries=1).eval()
    with torch.no_grad():
        output = network(torch.rand(1, 2, 3, 64, 96))
    assert torch.isfinite(output.mask_logits[-1]).all()


# a folder


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        (ResNetModel, "basic"),
        (ResNetBackbone, "bottleneck"),
        (ResNetForImageClassification, "basic"),
    ],
)
@pytest.mark.usefixtures("no_hub")
def test_a_run_begins_with_the_weights_of_a_folder(
    tmp_path: Path, small_session: Session, small_config: Config, kind: Any, layer: str
) -> None:
    model = dataclasses.replace(small_config.model, backbone_layer=layer)
    config = dataclasses.replace(small_config, model=model)
    expected = write(tmp_path / "weights", model, kind)
    found = encoder_of(trainer_of(small_session, naming(config, tmp_path / "weights")))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert not same(found, encoder_of(trainer_of(small_session, config)))


@pytest.mark.usefixtures("no_hub")
def test_what_is_not_of_the_backbone_begins_as_without_it(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    write(tmp_path, small_config.model)
    fresh = trainer_of(small_session, small_config)
    state = torch.get_rng_state()
    other = trainer_of(small_session, naming(small_config, tmp_path))
    assert torch.equal(torch.get_rng_state(), state)
    rest = [k for k in fresh.model.state_dict() if not k.startswith(ENCODER)]
    assert len(rest) > 20
    for name in rest:
        assert torch.equal(fresh.model.state_dict()[name], other.model.state_dict()[name]), name


def test_weights_without_safetensors_are_read_too(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    torch.save(expected, tmp_path / "pytorch_model.bin")
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    found = pretrained_backbone(config)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_half_precision_becomes_single_and_old_counters_may_be_missing(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    kept = {k: v.half() for k, v in expected.items() if not k.endswith("num_batches_tracked")}
    safetensors.torch.save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    found = pretrained_backbone(config)
    for name, value in kept.items():
        assert found[name].dtype == torch.float32
        assert torch.equal(found[name], value.float())


def test_nothing_is_printed(
    tmp_path: Path, model_config: ModelConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, model_config, ResNetForImageClassification)  # its head is left over
    capfd.readouterr()
    verbosity = transformers_logging.get_verbosity()
    pretrained_backbone(dataclasses.replace(model_config, backbone_weights=str(tmp_path)))
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.is_progress_bar_enabled()


def test_progress_bars_that_a_person_insists_on_are_no_warning(
    tmp_path: Path, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, model_config)
    bars = importlib.import_module("huggingface_hub.utils.tqdm")
    monkeypatch.setattr(bars, "HF_HUB_DISABLE_PROGRESS_BARS", False)  # the environment says 0
    config = dataclasses.replace(model_config, backbone_weights=str(tmp_path))
    assert pretrained_backbone(config)
    build_model(config, num_classes=1, num_queries=1)
    assert not bars.are_progress_bars_disabled()


def test_building_a_model_leaves_progress_bars_and_the_hub_alone(
    model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    verbosity = transformers_logging.get_verbosity()
    for name in ("disable_progress_bar", "enable_progress_bar"):
        monkeypatch.setattr(transformers_logging, name, never)
    build_model(model_config, num_classes=1, num_queries=1)
    assert transformers_logging.get_verbosity() == verbosity


# a folder that does not fit


def test_other_sizes_are_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    other = dataclasses.replace(
        model_config, backbone_sizes=(8, 8, 16, 32), backbone_depths=(1, 2, 1, 1)
    )
    assert told(other, tmp_path) == (
        f"{tmp_path} holds another ResNet than the settings describe: hidden_sizes "
        "[8, 8, 16, 16], not [8, 8, 16, 32]; depths [1, 1, 1, 1], not [1, 2, 1, 1]. Set "
        "model.backbone_sizes, model.backbone_depths and model.backbone_layer to fit, or give "
        "other weights."
    )


def test_a_description_that_leaves_out_what_is_usual_is_read_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}', encoding="utf-8")
    # the library's usual ResNet is the ResNet-50
    assert "holds no weights: " in told(ModelConfig.resnet50(), tmp_path)
    assert "layer_type bottleneck, not basic" in told(ModelConfig.resnet18(), tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_act", "gelu"), ("downsample_in_first_stage", True), ("num_channels", 1)],
)
def test_a_resnet_that_computes_something_else_is_refused(
    tmp_path: Path, model_config: ModelConfig, key: str, value: Any
) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "config.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**about, key: value}), encoding="utf-8")
    assert f"{key} {value}, not " in told(model_config, tmp_path)


def test_tensors_that_are_not_as_described_are_refused(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    expected = write(tmp_path, model_config)
    first = "embedder.embedder.convolution.weight"
    for changed in (
        {k: v for k, v in expected.items() if k != first},
        {**expected, first: torch.rand(9, 3, 7, 7)},
    ):
        safetensors.torch.save_file(
            changed, tmp_path / "model.safetensors", metadata={"format": "pt"}
        )
        assert told(model_config, tmp_path) == (
            f"The weights in {tmp_path} are not those that its config.json describes (1 tensors "
            f"are missing or of another size, first {first}). Download both again."
        )


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_damaged_file_is_refused(tmp_path: Path, model_config: ModelConfig, keep: int) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    text = told(model_config, tmp_path)
    assert text.startswith(f"The weights in {tmp_path} cannot be read (")
    assert text.endswith("Download model.safetensors again.")


def test_a_file_that_would_run_code_is_refused_and_does_not(
    tmp_path: Path, model_config: ModelConfig
) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    for name, save in (("zip", torch.save), ("pickle", pickle.dump)):
        with (tmp_path / "pytorch_model.bin").open("wb") as file:
            save({"embedder.embedder.convolution.weight": Trap()}, file)
        assert "they are damaged, incomplete or more than weights" in told(
            model_config, tmp_path
        ), name
        assert not (tmp_path / "sprung").exists()


def test_a_folder_without_weights_is_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    (tmp_path / "model.safetensors").unlink()
    assert told(model_config, tmp_path) == (
        f"{tmp_path} holds no weights: there is no model.safetensors and no pytorch_model.bin. "
        "Download the first of them beside its config.json."
    )


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe"])
def test_a_folder_that_does_not_say_what_it_holds_is_refused(
    tmp_path: Path, model_config: ModelConfig, content: bytes | None
) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "config.json"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    text = told(model_config, tmp_path)
    assert text.startswith(f"{path} should describe a ResNet and cannot be read: ")
    assert text.endswith("Give a folder with config.json and model.safetensors, as a hub has them.")


def test_another_network_is_refused(tmp_path: Path, model_config: ModelConfig) -> None:
    MobileNetV2Config().save_pretrained(tmp_path)
    assert told(model_config, tmp_path) == (
        f'{tmp_path} should hold a ResNet for transformers (model_type "resnet"), got '
        '"mobilenet_v2". Give the folder of a ResNet.'
    )


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("name", ["/no/such/folder", "./weights", "../w", "a/b/c", "~/nowhere/x"])
def test_a_missing_folder_is_refused(model_config: ModelConfig, name: str) -> None:
    assert told(model_config, name) == (
        f"There is no folder {Path(name).expanduser()} with pretrained weights. Check "
        "model.backbone_weights, or leave it empty to begin with fresh ones."
    )


LONG = "x" * 5000


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize(
    ("name", "shown", "reason"),
    [
        ("~nosuchuser/x", "~nosuchuser/x", "Could not determine home directory"),
        ("a\0b", "a\0b", "embedded null byte"),
        (LONG, "x" * 200 + "…", "File name too long"),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    model_config: ModelConfig, name: str, shown: str, reason: str
) -> None:
    assert told(model_config, name) == (
        f"model.backbone_weights must be a folder or a hub id, and {shown} cannot be looked up "
        f"({reason}). Give the folder that holds config.json and model.safetensors, or leave it "
        "empty to begin with fresh weights."
    )


@pytest.mark.usefixtures("no_hub")
def test_a_folder_that_may_not_be_entered_is_refused(
    tmp_path: Path, model_config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.stat

    def denied(self: Path, **how: Any) -> Any:
        if self == tmp_path / "x":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, **how)

    monkeypatch.setattr(Path, "stat", denied)
    assert "cannot be looked up (Permission denied). Give" in told(model_config, tmp_path / "x")


@pytest.mark.usefixtures("no_hub")
def test_a_file_is_no_folder(tmp_path: Path, model_config: ModelConfig) -> None:
    write(tmp_path, model_config)
    path = tmp_path / "model.safetensors"
    assert told(model_config, path) == (
        f"model.backbone_weights must be a folder or a hub id, but {path} is a file. Give the "
        "folder that holds config.json and model.safetensors."
    )


def test_sizes_that_make_no_network_are_told_before_weights_are_looked_for(
    model_config: ModelConfig,
) -> None:
    wrong = dataclasses.replace(model_config, backbone_depths=(1, 1))
    assert told(wrong, HUB_ID).startswith("model.backbone_depths must be 4 numbers above 0")


# a hub


def warned(config: ModelConfig, weights: str) -> tuple[dict[str, torch.Tensor], list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = pretrained_backbone(dataclasses.replace(config, backbone_weights=weights))
    assert all(issubclass(each.category, InputWarning) for each in caught)
    return found, [str(each.message) for each in caught]


WARNING = (
    f"The backbone was to begin with the pretrained weights {HUB_ID}, but there is no folder "
    f"{HUB_ID} here, and they could not be fetched from the hub or its cache ([Errno -2] Name or "
    "service not known). It begins with fresh weights, which learn at the full rate in this run "
    "and for which the preset tiny is made. To use pretrained ones, download config.json and "
    f"model.safetensors of {HUB_ID} elsewhere and name their folder: --set "
    "model.backbone_weights=FOLDER"
)


@pytest.mark.usefixtures("unreachable")
def test_a_hub_out_of_reach_warns_once_and_fresh_weights_are_trained(
    small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu", seed=5))) == 4
    config = naming(gently(small_config), HUB_ID)
    with pytest.warns(InputWarning) as caught:
        assert len(list(finetune(small_session, config, device="cpu", seed=5))) == 4
    assert [str(each.message) for each in caught] == [WARNING]
    first, second = small_session.runs()
    assert second.status == "done"
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


@pytest.mark.usefixtures("unreachable")
def test_fresh_weights_in_place_of_pretrained_ones_learn_at_the_full_rate(
    tmp_path: Path, small_session: Session, small_config: Config
) -> None:
    config = gently(small_config)
    assert multiplier_of(trainer_of(small_session, config)) == 0.1
    with pytest.warns(InputWarning, match="learn at the full rate in this run"):
        fresh = trainer_of(small_session, naming(config, HUB_ID))
    assert multiplier_of(fresh) == 1.0
    write(tmp_path, small_config.model)
    pretrained = trainer_of(small_session, naming(config, tmp_path))
    assert multiplier_of(pretrained) == 0.1
    for trainer, expected in ((fresh, 1.0), (pretrained, 0.1)):
        run = small_session.new_run(trainer.config, seed=1)
        trainer.save(run, 1)
        resumed = trainer_of(small_session, trainer.config, resumed=True)
        assert resumed.restore(run.state_path) == 1
        assert multiplier_of(resumed) == expected


@pytest.mark.usefixtures("unreachable")
def test_a_resumed_run_goes_on_at_the_rate_that_it_began_with(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    assert len(list(finetune(small_session, small_config, device="cpu", seed=2))) == 4
    with pytest.warns(InputWarning, match="could not be fetched"):
        steps = finetune(small_session, naming(gently(small_config), HUB_ID), device="cpu", seed=2)
        for _ in range(2):
            next(steps)
    steps.close()  # type: ignore[attr-defined]
    monkeypatch.setattr("maskfree.train.pretrained_backbone", never)
    assert len(list(finetune(small_session, small_config, device="cpu", resume=True))) == 2
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


def fails(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Let the hub raise ``error``."""

    class Api:
        def model_info(self, *_: Any, timeout: float) -> Any:
            raise error

    monkeypatch.setattr(backbone, "HfApi", Api)
    monkeypatch.setattr(backbone, "try_to_load_from_cache", lambda *_: None)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("[Errno 113] No route to host"), "[Errno 113] No route to host"),
        (OSError(), "OSError"),
        (OSError(errno.ENOSPC, "No space left on device"), "[Errno 28] No space left on device"),
        (PermissionError(errno.EACCES, "Denied", "at"), "[Errno 13] Denied: 'at'"),
        (ImportError("no package for this proxy."), "no package for this proxy"),
        (ValueError("Unknown scheme for proxy URL"), "Unknown scheme for proxy URL"),
        (RuntimeError("data did not match"), "data did not match"),
        (Exception("Invalid port: 'port'"), "Invalid port: 'port'"),
    ],
)
def test_whatever_keeps_weights_from_being_fetched_is_a_warning_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, error: Exception, reason: str
) -> None:
    fails(monkeypatch, error)
    found, (text,) = warned(model_config, HUB_ID)
    assert found == {}
    assert f"could not be fetched from the hub or its cache ({reason}). It begins" in text


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_what_is_no_failure_of_the_hub_goes_on(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, error: type[BaseException]
) -> None:
    fails(monkeypatch, error())
    with pytest.raises(error):
        warned(model_config, HUB_ID)


@pytest.mark.usefixtures("unreachable")
def test_a_mistyped_folder_is_told_as_one(model_config: ModelConfig) -> None:
    _, (text,) = warned(model_config, "weightz")
    assert "but there is no folder weightz here, and they could not be fetched" in text


@pytest.fixture
def own_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty cache, and connections that are made anew."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    close_session()
    yield
    close_session()


@pytest.mark.usefixtures("own_session")
@pytest.mark.parametrize(
    ("proxy", "reason"), [("socks4://127.0.0.1:9", "scheme"), ("http://host:port", "port")]
)
def test_a_proxy_that_cannot_be_used_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, proxy: str, reason: str
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    found, (text,) = warned(model_config, HUB_ID)
    assert found == {}
    assert reason in text[: text.index("). It begins")]


class Portal(http.server.BaseHTTPRequestHandler):
    """Answers everything with a page that asks to log in."""

    def do_GET(self) -> None:
        page = b"<html>Welcome to our hotel</html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.usefixtures("own_session")
def test_a_page_in_place_of_the_hub_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig
) -> None:
    real = backbone.HfApi
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Portal) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(backbone, "HfApi", lambda: real(endpoint=address, token=False))
        found, (text,) = warned(model_config, HUB_ID)
        server.shutdown()
    assert found == {}
    assert "(what answered is not the hub: Expecting value" in text


def test_a_hub_that_never_answers_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_config: ModelConfig
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(backbone, "_TIMEOUT", 0.3)
    real = backbone.HfApi
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(backbone, "HfApi", lambda: real(endpoint=address, token=False))
        started = time.monotonic()
        found, texts = warned(model_config, HUB_ID)
    assert (found, len(texts)) == ({}, 1)
    assert time.monotonic() - started < 10


class Files:
    """A hub that has one folder, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def __call__(self) -> Files:
        return self

    def model_info(self, hub_id: str, *, timeout: float) -> Any:
        assert hub_id == HUB_ID
        names = [each.name for each in self.folder.iterdir()]
        siblings = [type("Sibling", (), {"rfilename": name}) for name in names]
        return type("Info", (), {"siblings": siblings})

    def download(self, hub_id: str, name: str, *, etag_timeout: float) -> str:
        assert hub_id == HUB_ID
        self.asked.append(name)
        return str(self.folder / name)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    made = Files(tmp_path / "hub")
    monkeypatch.setattr(backbone, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(backbone, "HfApi", made)
    monkeypatch.setattr(backbone, "hf_hub_download", made.download)
    return made


def test_what_a_hub_has_is_downloaded_safetensors_first(
    hub: Files, model_config: ModelConfig
) -> None:
    expected = write(hub.folder, model_config)
    (hub.folder / "pytorch_model.bin").write_bytes(b"never looked at")
    found, texts = warned(model_config, HUB_ID)
    assert texts == []
    assert hub.asked == ["config.json", "model.safetensors"]
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_hub_repository_without_weights_is_refused(hub: Files, model_config: ModelConfig) -> None:
    write(hub.folder, model_config)
    (hub.folder / "model.safetensors").unlink()
    assert told(model_config, HUB_ID) == (
        f"The hub repository {HUB_ID} holds no config.json with model.safetensors or "
        "pytorch_model.bin. Name that of a ResNet for transformers."
    )
    assert hub.asked == []


def test_what_a_hub_does_not_have_is_refused(
    monkeypatch: pytest.MonkeyPatch, hub: Files, model_config: ModelConfig
) -> None:
    class Unknown(backbone.RepositoryNotFoundError):
        def __init__(self) -> None:
            Exception.__init__(self, "404")

    def info(*_: Any, **__: Any) -> Any:
        raise Unknown

    monkeypatch.setattr(hub, "model_info", info)
    assert told(model_config, HUB_ID) == (
        f"There is neither a folder {HUB_ID} here nor a hub repository of that name that is open "
        "to you. Check model.backbone_weights."
    )


def test_what_is_in_the_cache_is_taken_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig
) -> None:
    place = tmp_path / "models--somebody--resnet-8"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("c0ffee", encoding="utf-8")
    expected = write(place / "snapshots" / "c0ffee", model_config)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(backbone, "HfApi", never)
    monkeypatch.setattr(backbone, "hf_hub_download", never)
    found, texts = warned(model_config, HUB_ID)
    assert texts == []
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_folder_of_the_name_comes_before_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig, no_hub: None
) -> None:
    write(tmp_path / HUB_ID, model_config)
    monkeypatch.chdir(tmp_path)
    found, texts = warned(model_config, HUB_ID)
    assert found
    assert texts == []


# afterwards


def test_a_finished_run_needs_its_pretrained_weights_no_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    small_session: Session,
    small_config: Config,
) -> None:
    expected = write(tmp_path / "weights", small_config.model)
    config = naming(small_config, tmp_path / "weights")
    assert len(list(finetune(small_session, config, device="cpu"))) == 4
    for path in (tmp_path / "weights").iterdir():
        path.unlink()
    (tmp_path / "weights").rmdir()
    monkeypatch.setattr(backbone, "pretrained_backbone", never)
    monkeypatch.setattr("maskfree.train.pretrained_backbone", never)
    monkeypatch.setattr(backbone, "_find", never)
    run = small_session.runs()[-1]
    model, loaded, _, _ = load_model(run.weights_path, CPU)
    assert loaded.model.backbone_weights == str(tmp_path / "weights")
    name = "embedder.embedder.convolution.weight"
    learnt = model.model.pixel_level_module.encoder.state_dict()[name]
    torch.testing.assert_close(learnt, expected[name], rtol=0, atol=0.05)  # 4 steps away
    assert list(predict(small_session, device="cpu"))
    assert small_session.mask_store().read(0).track_ids == (1, 2)


@pytest.mark.usefixtures("no_hub")
def test_a_resumed_run_is_equal_and_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    write(tmp_path / "weights", small_config.model)
    config = naming(small_config, tmp_path / "weights")
    assert len(list(finetune(small_session, config, device="cpu", seed=2))) == 4
    steps = finetune(small_session, config, device="cpu", seed=2)
    for _ in range(2):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    monkeypatch.setattr("maskfree.train.pretrained_backbone", never)
    rest = list(finetune(small_session, config, device="cpu", resume=True))
    assert [each.step for each in rest] == [3, 4]
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("preset_name", ["resnet18", "resnet50"])
def test_a_model_of_the_presets_is_loaded_without_a_hub(
    tmp_path: Path, small_config: Config, preset_name: str
) -> None:
    from maskfree.model.checkpoint import save_model
    from maskfree.presets import preset

    config = preset(preset_name)
    small = {
        each.name: getattr(small_config.model, each.name)
        for each in dataclasses.fields(ModelConfig)
        if not each.name.startswith("backbone")
    }
    config = dataclasses.replace(config, model=dataclasses.replace(config.model, **small))
    model = build_model(config.model, num_classes=1, num_queries=1)
    path = tmp_path / "model.safetensors"
    save_model(path, model, config, classes=["cat"], track_ids=[1])
    loaded, found, _, _ = load_model(path, CPU)
    assert found == config
    assert same(dict(loaded.state_dict()), dict(model.state_dict()))


# the command line


def test_the_setting_says_how_to_have_none(small_config: Config) -> None:
    config = naming(small_config, HUB_ID)
    (told_so,) = [s for s in iter_settings(config) if s.key == "model.backbone_weights"]
    assert "leave it empty" in told_so.help
    assert "none" not in told_so.help
    assert override(config, {"model.backbone_weights": ""}).model.backbone_weights == ""


@pytest.fixture
def finetuned(tmp_path: Path, small_session: Session, small_config: Config) -> Callable[..., int]:
    def run(*words: str) -> int:
        sizes = {
            "model.backbone_sizes": "8,8,16,16",
            "model.backbone_depths": "1,1,1,1",
            "model.hidden_size": "32",
            "sampling.frame_area": "6144",
        }
        settings = [f"{key}={value}" for key, value in sizes.items()]
        words = ("--steps", "1", "--device", "cpu", "--set", *settings, *words)
        return main(["finetune", "--session", str(small_session.path), *words])

    return run


def test_the_command_refuses_in_one_line(
    tmp_path: Path,
    finetuned: Callable[..., int],
    small_session: Session,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert finetuned(f"model.backbone_weights={tmp_path / 'none'}") == 2
    printed = capfd.readouterr().err
    assert printed.startswith(f"maskfree: error: There is no folder {tmp_path / 'none'} with")
    assert printed.count("\n") == 1
    assert small_session.runs() == []


@pytest.mark.usefixtures("unreachable")
def test_the_command_warns_in_one_line_and_goes_on(
    finetuned: Callable[..., int], small_session: Session, capfd: pytest.CaptureFixture[str]
) -> None:
    assert finetuned(f"model.backbone_weights={HUB_ID}") == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if "fine-tuning" not in line]
    assert lines == [f"maskfree: warning: {WARNING}"]
    assert small_session.runs()[-1].status == "done"


def test_pictures_are_normalised_as_the_weights_expect(model_config: ModelConfig) -> None:
    network = build_model(model_config, num_classes=1, num_queries=1)
    np.testing.assert_allclose(network.mean.flatten(), (0.485, 0.456, 0.406), rtol=1e-6)
    np.testing.assert_allclose(network.std.flatten(), (0.229, 0.224, 0.225), rtol=1e-6)
