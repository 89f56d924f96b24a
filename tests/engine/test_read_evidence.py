from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.belief import SURE, Belief
from maskfree.config import ConsensusConfig
from maskfree.consensus_memory import ConsensusMemory, has_evidence, read_evidence
from maskfree.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

EVIDENCE = np.arange(-127, 128, dtype=np.int8)[: 3 * 8 * 10].reshape(3, 8, 10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "consensus.npz"
    file.write_bytes(ConsensusMemory(Belief.of(EVIDENCE), 1.0, {}).to_bytes())
    return file


def test_evidence_is_what_was_kept(path: Path) -> None:
    assert has_evidence(path)
    found = read_evidence(path)
    assert found is not None
    assert found.dtype == np.int8
    assert np.array_equal(found, EVIDENCE)


def test_a_run_that_looked_for_none(path: Path) -> None:
    path.write_bytes(ConsensusMemory(None, 1.0, {}).to_bytes())
    assert not has_evidence(path)
    assert read_evidence(path) is None


@pytest.mark.parametrize("left", [0, 1, 60, -30])
def test_what_was_cut_off_is_damaged(path: Path, left: int) -> None:
    path.write_bytes(path.read_bytes()[:left])
    message = r"consensus\.npz is damaged\. Fine-tune again\."
    with pytest.raises(InputError, match=message):
        has_evidence(path)
    with pytest.raises(InputError, match=message):
        read_evidence(path)
    with pytest.raises(InputError, match=message):
        ConsensusMemory.from_file(path, ConsensusConfig())


def test_a_changed_byte_never_ends_in_a_traceback(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            has_evidence(path)
            found = read_evidence(path)
        except InputError as error:
            assert "Fine-tune again." in str(error)
        else:
            assert found is None or np.array_equal(found, EVIDENCE), "the checksum tells"


def test_an_array_of_another_kind_is_refused(path: Path) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, evidence=EVIDENCE[0].astype(float), stretch=np.array(1.0))
    path.write_bytes(content.getvalue())
    with pytest.raises(InputError, match=r"expected evidence int8 \(T, h, w\), got float64"):
        read_evidence(path)


def some_frames() -> Belief:
    belief = Belief((1000, 8, 10))
    belief[3], belief[700] = EVIDENCE[1], EVIDENCE[2]
    return belief


def test_of_frames_that_were_not_looked_at_nothing_is_kept(path: Path) -> None:
    whole = len(path.read_bytes())
    path.write_bytes(ConsensusMemory(some_frames(), 1.0, {}).to_bytes())
    assert len(path.read_bytes()) < whole + 600
    found = read_evidence(path)
    assert found is not None
    expected = np.full((1000, 8, 10), -SURE, np.int8)
    expected[3], expected[700] = EVIDENCE[1:]
    np.testing.assert_array_equal(found, expected)
    memory = ConsensusMemory.from_file(path, ConsensusConfig())
    assert memory.fits(1000)
    assert not memory.fits(2)
    assert memory.evidence is not None
    assert memory.evidence.frames == [3, 700]


def test_a_file_of_an_earlier_version_is_read(path: Path) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, stretch=np.array(1.0), evidence=EVIDENCE)
    path.write_bytes(content.getvalue())
    assert np.array_equal(read_evidence(path), EVIDENCE)  # type: ignore[arg-type]
    assert ConsensusMemory.from_file(path, ConsensusConfig()).fits(3)


def test_beliefs_of_other_frames_than_it_says_are_damaged(path: Path) -> None:
    content = io.BytesIO()
    other = {"evidence_frames": np.arange(2), "evidence_length": np.array(9)}
    np.savez_compressed(content, stretch=np.array(1.0), evidence=EVIDENCE, **other)  # type: ignore[arg-type]
    path.write_bytes(content.getvalue())
    with pytest.raises(InputError, match="is damaged"):
        read_evidence(path)
