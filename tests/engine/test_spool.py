"""Texts that grow side by side: what is copied is what was appended, and no file stays."""

from __future__ import annotations

import errno
import io
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskfree.formats.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

PIECES = st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=12)), max_size=60)


def copied(spool: Spool, key: object) -> bytes:
    out = io.BytesIO()
    spool.copy(key, out)
    return out.getvalue()


@given(pieces=PIECES, most=st.integers(0, 200))
@settings(max_examples=60, deadline=None)
def test_each_text_is_its_pieces_in_order(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, bytes]], most: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    whole = dict.fromkeys(range(5), b"")
    with Spool(folder, most_bytes=most) as spool:
        for number, (key, piece) in enumerate(pieces):
            spool.append(key, piece)
            whole[key] += piece
            if number % 20 == 0:  # a copy in between changes nothing
                assert copied(spool, key) == whole[key]
        assert {key: copied(spool, key) for key in whole} == whole
        assert list(folder.iterdir()) == []


def test_few_texts_make_no_file_and_many_leave_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def temporary(**options: object) -> io.BytesIO:
        made.append((options["dir"], io.BytesIO()))
        return made[-1][1]

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    with Spool(tmp_path, most_bytes=100) as spool:
        spool.append("a", b"x" * 100)
        assert made == []
        for number in range(1000):
            spool.append(number % 3, b"y" * 10)
            assert sum(map(len, spool._kept.values())) <= 100
        (folder, file), *more = made
        assert (folder, more) == (tmp_path, [])
        assert len(file.getvalue()) >= 10_000
    assert file.closed


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_the_file_goes_however_it_ends(tmp_path: Path, failure: BaseException) -> None:
    with pytest.raises(type(failure)), Spool(tmp_path, most_bytes=0) as spool:
        spool.append("a", b"x")
        file = spool._file
        raise failure
    assert file is not None
    assert file.closed
    assert list(tmp_path.iterdir()) == []
