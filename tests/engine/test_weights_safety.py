"""Checkpoints of strangers: nothing in them is run, and nothing is made that they only claim."""

from __future__ import annotations

import collections
import hashlib
import io
import os
import pickle
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import safetensors.torch
import torch

from maskfree.errors import InputError
from maskfree.model.convert import convert_weights, read_weights
from maskfree.model.known_weights import KNOWN, check_digest
from maskfree.model.plain_pickle import read_pickle
from maskfree.train_state import load_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CALLS = {
    "system": (os.system, ("true",)),
    "eval": (eval, ("1",)),
    "attribute": (getattr, (os, "system")),
    "load": (torch.load, ("x",)),
    "storage": (torch.storage._load_from_bytes, (b"",)),
    "partial": (__import__, ("os",)),
    "empty": (np.empty, ((10**12,),)),
}


class Trap:
    def __init__(self, call: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def told(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", CALLS)
def test_a_pickle_that_calls_something_is_refused_by_its_name(
    tmp_path: Path, name: str, protocol: int
) -> None:
    if name == "attribute":  # a module cannot be pickled as an argument
        CALLS[name] = (getattr, ("", "join"))
    path = tmp_path / "in.pkl"
    path.write_bytes(pickle.dumps({"model": Trap(CALLS[name])}, protocol))
    function = CALLS[name][0]
    said = told(path)
    assert "would run code when loaded (it calls " in said
    assert f".{function.__name__})" in said


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("name", ["system", "storage", "empty"])
def test_so_is_what_torch_saved(tmp_path: Path, name: str, new: bool) -> None:
    path = tmp_path / "in.pth"
    content = {"model": {"w": torch.ones(2), "x": Trap(CALLS[name])}}
    torch.save(content, path, _use_new_zipfile_serialization=new)
    assert f".{CALLS[name][0].__name__})" in told(path)


def test_a_name_alone_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "in.pkl").write_bytes(pickle.dumps({"model": os.system}))
    assert "(it calls posix.system)" in told(tmp_path / "in.pkl")


def arrays() -> dict[str, np.ndarray]:
    return {
        "float": np.arange(6, dtype=np.float32).reshape(2, 3),
        "by column": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">i4"),
        "none": np.zeros((0, 4), np.float16),
        "one": np.array(7),
        "yes": np.array([True, False]),
    }


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_of_detectron2(tmp_path: Path, protocol: int) -> None:
    content = {"model": arrays(), "__author__": "me", "scale": np.float64(2)}
    (tmp_path / "in.pkl").write_bytes(pickle.dumps(content, protocol))
    found = read_weights(tmp_path / "in.pkl")
    assert found.keys() == arrays().keys()
    for name, values in arrays().items():
        np.testing.assert_array_equal(found[name].numpy(), values)
        assert found[name].shape == values.shape


def test_arrays_of_python_2(tmp_path: Path) -> None:
    """As Python 2 wrote them, with bytes as text (detectron2 reads them as latin-1)."""
    raw = np.array([1.5, -2.0], "<f4").tobytes()
    (tmp_path / "in.pkl").write_bytes(
        b"\x80\x02}q\x00U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b"
        b"\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x08" + raw + b"tbs."
    )
    assert read_weights(tmp_path / "in.pkl")["w"].tolist() == [1.5, -2.0]


BAD_ARRAYS = {
    "objects": np.array([None, {}]),
    "text": np.array(["a", "b"]),
    "records": np.zeros(2, [("a", "i4")]),
    "dates": np.zeros(2, "M8[s]"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_no_numbers_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.pkl").write_bytes(pickle.dumps({"a": BAD_ARRAYS[name]}, 2))
    assert "is damaged, incomplete or no checkpoint" in told(tmp_path / "in.pkl")


def reconstruct(shape: bytes, raw: bytes) -> bytes:
    """A pickle of an array whose shape is given as pickled numbers."""
    return (
        b"\x80\x02}U\x01wcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01" + shape + b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R\x89U" + bytes([len(raw)]) + raw
    ) + b"tbs."


BOMBS = {
    "a shape": reconstruct(b"\x8a\x06\0\0\0\0\0\x7f\x85", b"1234"),
    "a memo": b"\x80\x02}r\xff\xff\xff\xff.",
    "bytes": b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",
    "text": b"\x80\x02X\xff\xff\xff\xff.",
    "a number": b"\x80\x02\x8b\xff\xff\xff\x7f1.",
    "digits": b"L" + b"9" * 100_000 + b"L\n.",
    "depth": b"\x80\x02)" + b"\x85" * 500_000 + b"}\x94" + b"h\x00" + b"s.",
    "a deep key": b"\x80\x02})" + b"\x85" * 500_000 + b"K\x01s.",
    "no end": b"\x80\x02" + b"(" * 100_000,
    "nothing": b"\x80\x02.",
    "copies": b"\x80\x02" + b"]" + b"2" * 100_000 + b".",
    "steps": b"\x80\x02" + b"N" * 4_000_001,
    "many sides": reconstruct(
        b"(" + b"\x8a\x08" + b"\xff" * 7 + b"\x7f" + b"2" * 500_000 + b"t", b""
    ),
    "a text made anew": (
        b"\x80\x02X\x00\x00\x10\x00" + b"a" * (1 << 20) + b"q\x000"
        b"c_codecs\nencode\nq\x010" + b"h\x01h\x00\x85R" * 64 + b"."
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.pkl").write_bytes(BOMBS[name])
    assert told(tmp_path / "in.pkl")


def test_references_that_multiply_are_read_as_references() -> None:
    """Ten to the power of forty values by name, in some hundred bytes."""
    data = b"\x80\x02]q\x00" + b"".join(
        b"(" + bytes([0x68, n]) * 10 + b"l" + bytes([0x71, n + 1]) for n in range(40)
    )
    found = read_pickle(io.BytesIO(data + b"."), {})
    assert len(found) == 10


def zipped(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezipped(path: Path, members: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "in.pth"
    torch.save({"w": torch.arange(4.0)}, path)
    return path


def test_a_storage_that_claims_more_than_it_has(tmp_path: Path) -> None:
    """torch.load believes it, and reads what lies behind it in memory."""
    path = saved(tmp_path)
    members = zipped(path)
    name = next(each for each in members if each.endswith("data/0"))
    rezipped(path, {**members, name: members[name][:4]})
    assert "is damaged" in told(path)


def test_a_tensor_beyond_its_storage(tmp_path: Path) -> None:
    path = saved(tmp_path)
    members = zipped(path)
    name = next(each for each in members if each.endswith("data.pkl"))
    assert members[name].count(b"K\x04\x85") == 1
    rezipped(path, {**members, name: members[name].replace(b"K\x04\x85", b"K\x05\x85")})
    assert "is damaged" in told(path)


def test_a_tensor_that_repeats_one_number(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "in.pth")
    assert "is damaged" in told(tmp_path / "in.pth")
    torch.save({"w": torch.ones(1).expand(100, 100)}, tmp_path / "in.pth")
    assert read_weights(tmp_path / "in.pth")["w"].sum() == 10_000


def test_one_tensor_under_many_names(tmp_path: Path) -> None:
    one = torch.zeros(1).expand(1000, 1000)
    path = tmp_path / "in.pth"
    torch.save({str(n): one for n in range(1000)}, path)  # four gigabytes, if each had its own
    assert path.stat().st_size < 100_000
    assert "stands in it under many names" in told(path)
    torch.save({str(n): one[:10, :10] for n in range(10)}, path)
    assert len(read_weights(path)) == 10


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_packed_archive(tmp_path: Path, packing: int) -> None:
    path = saved(tmp_path)
    rezipped(path, zipped(path), packing)
    assert "is damaged" in told(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_with_a_name_twice(tmp_path: Path) -> None:
    path = saved(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(next(name for name in archive.namelist() if name.endswith(".pkl")), b"x")
    assert "is damaged" in told(path)


def test_a_tar_of_old(tmp_path: Path) -> None:
    """torch.load(weights_only=True) ran code of such a file up to 2.5 (CVE-2025-32434)."""
    with tarfile.open(tmp_path / "in.pth", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Trap(CALLS["system"]))
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    assert told(tmp_path / "in.pth")


def test_a_script(tmp_path: Path) -> None:
    path = saved(tmp_path)
    members = zipped(path)
    top = next(iter(members)).partition("/")[0]
    rezipped(path, {**members, f"{top}/constants.pkl": b"x"})
    assert "is a TorchScript archive, which holds code" in told(path)


LEGACY = {"new": True, "old": False}


@pytest.mark.parametrize("layout", LEGACY)
def test_all_that_torch_saves(tmp_path: Path, layout: str) -> None:
    base = torch.arange(24.0)
    content = collections.OrderedDict(
        a=base.reshape(4, 6).T,
        part=base[5:9],
        half=torch.ones(3, dtype=torch.bfloat16),
        whole=torch.tensor(3),
        none=torch.zeros(0, 2),
        yes=torch.tensor([True]),
        turning=torch.ones(2, dtype=torch.complex64),
        parameter=torch.nn.Parameter(torch.ones(2, 2)),
        small=torch.tensor([1, 2], dtype=torch.uint8),
    )
    torch.save(content, tmp_path / "in", _use_new_zipfile_serialization=LEGACY[layout])
    found = read_weights(tmp_path / "in")
    plain = torch.load(tmp_path / "in", weights_only=True)
    assert found.keys() == content.keys()
    for name, tensor in plain.items():
        assert found[name].dtype == tensor.dtype
        torch.testing.assert_close(found[name], tensor.detach(), rtol=0, atol=0)


def test_a_state_is_what_was_saved(tmp_path: Path) -> None:
    content = {
        "step": 3,
        "rate": 1e-3,
        "betas": (0.9, 0.999),
        "nothing": None,
        "rng": torch.get_rng_state(),
        "state": {0: {"step": torch.tensor(3.0), "mean": torch.ones(2, 2)}},
        "names": ["ä", ""],
        "large": 2**62,
    }
    torch.save(content, tmp_path / "state.pt")
    found = load_state(tmp_path / "state.pt")
    plain = torch.load(tmp_path / "state.pt", weights_only=True)
    assert repr(found) == repr(plain)


HEADERS = {
    "longer than the file": struct.pack("<Q", 1 << 40) + b"{}",
    "longer than any": struct.pack("<Q", 1 << 25) + b" " * (1 << 25),
    "of no length": struct.pack("<Q", 0),
    "beyond the end": struct.pack("<Q", 61)
    + b'{"a":{"dtype":"F32","shape":[1000000],"data_offsets":[0,4000000]}}'[:61],
    "of another kind": b"\x02\0\0\0\0\0\0\0[]",
    "half": b"\x02\0\0",
}


@pytest.mark.parametrize("name", HEADERS)
def test_safetensors_whose_header_lies(tmp_path: Path, name: str) -> None:
    (tmp_path / "in.safetensors").write_bytes(HEADERS[name])
    assert "is not a readable safetensors file" in told(tmp_path / "in.safetensors")


def test_a_name_that_states_another_digest(tmp_path: Path) -> None:
    content = safetensors.torch.save({"a": torch.ones(2)})
    digest = hashlib.sha256(content).hexdigest()
    right, wrong = (tmp_path / f"net-{d[:8]}.safetensors" for d in (digest, digest[::-1]))
    dated = tmp_path / "net-20220901.safetensors"
    for path in (right, wrong, dated):
        path.write_bytes(content)
    assert read_weights(right).keys() == read_weights(dated).keys() == {"a"}
    said = told(wrong)
    assert said.startswith(f"{wrong} must have a SHA-256 that begins with {digest[::-1][:8]}")
    with pytest.raises(InputError):
        convert_weights(wrong, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_name_is_held_against_its_digest(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.pth"
    path.write_bytes(b"something else")
    with pytest.raises(InputError, match="begins with"):
        check_digest(path)


def test_a_file_of_the_hubs_cache_is_held_against_its_name(tmp_path: Path) -> None:
    content = safetensors.torch.save({"a": torch.ones(2)})
    digest = hashlib.sha256(content).hexdigest()
    (tmp_path / "blobs").mkdir()
    blob, link = tmp_path / "blobs" / digest, tmp_path / "model.safetensors"
    blob.write_bytes(content)
    link.symlink_to(blob)
    check_digest(link)
    blob.write_bytes(content[:-1] + b"\0")
    with pytest.raises(InputError, match="not what it is called"):
        check_digest(link)
