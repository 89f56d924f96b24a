"""What a newer program wrote into a session stays when this one rewrites the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.session import Session
from session_folder import BOXES

if TYPE_CHECKING:
    from pathlib import Path

ON = np.eye(6, dtype=bool)


def test_fields_of_corrections(tmp_path: Path) -> None:
    store = CorrectionStore(tmp_path / "corrections")
    store.write(3, {1: Correction.whole(ON), 2: Correction.make(ON, ~ON & False)})
    path = store.path / "00003.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["reviewed"] = {"by": "me"}
    data["tracks"][0]["seconds"] = 4.5
    data["tracks"][1]["seconds"] = 9.5
    path.write_text(json.dumps(data), encoding="utf-8")
    store.write(3, {1: Correction.whole(~ON, gold=True)})
    now = json.loads(path.read_text(encoding="utf-8"))
    assert now["reviewed"] == {"by": "me"}
    assert [(t["id"], t["seconds"], t["gold"]) for t in now["tracks"]] == [(1, 4.5, True)]
    store.write(3, {1: Correction.whole(ON)})
    assert "gold" not in json.loads(path.read_text(encoding="utf-8"))["tracks"][0]
    store.write(3, {})
    store.write(3, {1: Correction.whole(ON)})
    assert "reviewed" not in json.loads(path.read_text(encoding="utf-8")), "with its frame"


@pytest.mark.parametrize(
    "content", ["{", "[]", "[1]", '{"tracks": 5}', '{"tracks": [3, {"id": []}, {}]}', "\xff"]
)
def test_a_broken_file_of_corrections_is_written_anew(tmp_path: Path, content: str) -> None:
    store = CorrectionStore(tmp_path)
    (tmp_path / "00003.json").write_bytes(content.encode("latin-1"))
    store.write(3, {1: Correction.whole(ON)})
    assert store.read(3) == {1: Correction.whole(ON)}


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    session = Session.create(tmp_path / "s", video_source=None, boxes=BOXES)
    run = session.new_run(Config(), seed=0)
    data = json.loads(run.config_path.read_text(encoding="utf-8"))
    run.config_path.write_text(json.dumps({**data, "version": 2}), encoding="utf-8")
    (newer,) = Session.open(session.path).runs()
    with pytest.raises(InputError, match=r"expected a run of version 1, got 2: it was made by a"):
        newer.config  # noqa: B018
    assert Session.open(session.path).info()["runs"][0]["preset"] == "unknown"
    data["config"]["predict"]["later"] = data["config"]["later"] = {"weight": 1}
    run.config_path.write_text(json.dumps({**data, "note": 1}), encoding="utf-8")
    assert Session.open(session.path).runs()[0].config == Config()
