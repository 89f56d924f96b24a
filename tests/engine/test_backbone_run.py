from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
import torch

from backbone_weights import CPU, HUB_ID, WARNING, naming, never, same, write
from maskfree.cli import main
from maskfree.config import Config, ModelConfig
from maskfree.model import backbone
from maskfree.model.build import build_model
from maskfree.model.checkpoint import load_model, read_tensors
from maskfree.predict import predict
from maskfree.settings import iter_settings, override
from maskfree.train import finetune

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.session import Session

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
    monkeypatch.setattr("maskfree.trainer.chosen_pretrained", never)
    monkeypatch.setattr("maskfree.model.backbone.pretrained_backbone", never)
    monkeypatch.setattr(backbone, "find_folder", never)
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
    monkeypatch.setattr("maskfree.trainer.chosen_pretrained", never)
    monkeypatch.setattr("maskfree.model.backbone.pretrained_backbone", never)
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
