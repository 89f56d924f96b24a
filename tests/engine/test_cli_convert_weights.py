"""The command line: convert-weights."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Result


class Attack:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("key", ["model", "state_dict", None])
def test_convert_weights(cli: Callable[..., Result], tmp_path: Path, key: str | None) -> None:
    import safetensors.torch
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    tensors = {"a.weight": weight, "tied": weight, "turned": weight.T}
    content = tensors if key is None else {key: tensors, "iteration": 5}
    torch.save(content, tmp_path / "in.pth")
    out = tmp_path / "out.safetensors"
    result = cli("convert-weights", tmp_path / "in.pth", out, "--json").json
    assert result == {"out": str(out), "tensors": 3, "parameters": 18}
    loaded = safetensors.torch.load_file(out)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0)
    again = tmp_path / "again.safetensors"
    assert cli("convert-weights", out, again).code == 0
    assert safetensors.torch.load_file(again).keys() == tensors.keys()


def test_convert_weights_takes_arrays_and_leaves_the_rest_out(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    import safetensors.torch
    import torch

    torch.save({"model": {"a": np.arange(3.0), "note": "x"}}, tmp_path / "in.pth")
    result = cli("convert-weights", tmp_path / "in.pth", tmp_path / "out.safetensors")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert '"note"' in result.err
    tensor = safetensors.torch.load_file(tmp_path / "out.safetensors")["a"]
    assert tensor.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["zip", "old", "pickle"])
def test_convert_weights_refuses_code(
    refuses: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    import pickle

    import torch

    path, marker = tmp_path / "evil.pkl", tmp_path / "was-run"
    content = {"model": {"a": torch.zeros(2)}, "x": Attack(marker)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content["x"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    said = refuses("convert-weights", path, tmp_path / "out.safetensors")
    assert "would run code when loaded (it calls " in said
    assert f"{os.mkdir.__module__}.mkdir" in said
    assert not marker.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_convert_weights_refuses_what_is_none(refuses: Callable[..., str], tmp_path: Path) -> None:
    import torch

    torch.save({"lr": 1}, tmp_path / "no.pth")
    torch.save({"model": {"a": torch.zeros(999)}}, tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello there", encoding="utf-8")
    (tmp_path / "text.safetensors").write_text("hello there", encoding="utf-8")
    (tmp_path / "empty.pth").write_bytes(b"")
    out = tmp_path / "out.safetensors"
    assert "holds no tensors" in refuses("convert-weights", tmp_path / "no.pth", out)
    assert "damaged" in refuses("convert-weights", tmp_path / "cut.pth", out)
    assert "no checkpoint" in refuses("convert-weights", tmp_path / "text.pth", out)
    assert "not a readable" in refuses("convert-weights", tmp_path / "text.safetensors", out)
    assert "is empty" in refuses("convert-weights", tmp_path / "empty.pth", out)
    assert "There is no checkpoint" in refuses("convert-weights", tmp_path / "absent.pth", out)
    assert "must end in .safetensors" in refuses("convert-weights", tmp_path / "no.pth", "out.pth")
    assert not out.exists()
