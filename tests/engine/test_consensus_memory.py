from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from consensus_scene import CONFIG, Scene, assert_alike, assert_equal, crop_of, crops
from maskfree.consensus import Consensus
from maskfree.consensus_memory import ConsensusMemory
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_memory_makes_the_same_crops(tmp_path: Path, scene: Scene, settled: Consensus) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(settled.memory(scene.ids).to_bytes())
    memory = ConsensusMemory.from_file(path, CONFIG)
    assert memory.stretch == 1.0
    assert memory.evidence is not None
    np.testing.assert_array_equal(memory.evidence, scene.evidence)
    assert set(memory.colours) == set(scene.ids)
    again = Consensus.recall(
        scene.frames, scene.boxes, scene.slack, scene.ids, memory, config=CONFIG
    )
    assert_alike(crops(again, scene), crops(settled, scene))
    for n, t in scene.present():
        np.testing.assert_array_equal(scene.mask(again, n, t), scene.mask(settled, n, t))


def test_memory_goes_by_ids_not_by_their_order(scene: Scene, settled: Consensus) -> None:
    memory = settled.memory([3, 7])
    order = [1, 0]
    swapped = Consensus.recall(
        scene.frames, scene.boxes[order], scene.slack[order], [7, 3], memory, config=CONFIG
    )
    for n, t in scene.present():
        assert_equal([crop_of(swapped, 1 - n, t)], [crop_of(settled, n, t)])
    other = Consensus.recall(scene.frames, scene.boxes, scene.slack, [3, 9], memory, config=CONFIG)
    for n, t in scene.present():
        assert (other.crop(n, t) is None) is (n == 1)  # track 9 is new


def test_memory_of_a_stretched_clip_without_evidence(tmp_path: Path, scene: Scene) -> None:
    consensus = scene.consensus(evidence=None, stretch=2.25)
    consensus.fit()
    path = tmp_path / "consensus.npz"
    path.write_bytes(consensus.memory(scene.ids).to_bytes())
    memory = ConsensusMemory.from_file(path, CONFIG)
    assert memory.evidence is None
    assert memory.stretch == 2.25
    again = Consensus.recall(
        scene.frames, scene.boxes, scene.slack, scene.ids, memory, config=CONFIG
    )
    assert_alike(crops(again, scene), crops(consensus, scene))


def test_a_memory_fits_a_video_of_its_length(scene: Scene, settled: Consensus) -> None:
    memory = settled.memory(scene.ids)
    assert memory.fits(12)
    assert not memory.fits(11)
    without = ConsensusMemory(None, 1.0, {})
    assert without.fits(5)


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def archive(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def without(content: bytes, name: str) -> bytes:
    arrays = arrays_of(content)
    del arrays[name]
    return archive(arrays)


def with_array(content: bytes, name: str, values: np.ndarray) -> bytes:
    return archive({**arrays_of(content), name: values})


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    for k in range(200, len(changed) - 200, 997):
        changed[k] ^= 0xFF
    return bytes(changed)


def single(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda c: c[: len(c) // 2],
    "text": lambda c: b"nonsense",
    "zip": lambda c: b"PK\x03\x04 cut off",
    "bits": flipped,
    "no stretch": lambda c: without(c, "stretch"),
    "no bins": lambda c: without(c, "1/low"),
    "other bins": lambda c: with_array(c, "1/table", np.zeros(8, np.float16)),
    "no number": lambda c: with_array(c, "one/table", np.zeros(8, np.float16)),
    "pickle": lambda c: with_array(c, "stretch", np.array([None])),
}


MADE_OF_SOMETHING_ELSE = {
    "empty": b"",
    "one array": single(np.zeros(3)),
    "two numbers": archive({"stretch": np.zeros(2)}),
    "text": archive({"stretch": np.array("much")}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_memory_is_refused(
    tmp_path: Path, scene: Scene, settled: Consensus, name: str
) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(DAMAGED[name](settled.memory(scene.ids).to_bytes()))
    with pytest.raises(InputError) as caught:
        ConsensusMemory.from_file(path, CONFIG)
    assert str(caught.value) == f"{path} is damaged. Fine-tune again."


@pytest.mark.parametrize("name", MADE_OF_SOMETHING_ELSE)
def test_a_memory_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(MADE_OF_SOMETHING_ELSE[name])
    with pytest.raises(InputError, match="is damaged"):
        ConsensusMemory.from_file(path, CONFIG)


def test_a_memory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is damaged"):
        ConsensusMemory.from_file(tmp_path / "consensus.npz", CONFIG)
