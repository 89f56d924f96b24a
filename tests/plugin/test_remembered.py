"""A journal from a stranger: whatever its records say, it is a message and never a traceback."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskfree.boxes_file import boxes_to_json
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.journal import Journal
from napari_maskfree.remembered import Remembered
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "at", "was", "now", "frame", "0"]), inner)
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The records of an hour's work in a few edits."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("home")
        patch.setenv("HOME", str(home))
        patch.setenv("USERPROFILE", str(home))
        state = State()
        state.set_video(VideoInfo("clip", "clip.tif", 8, 64, 96))
        state.start_boxes()
        state.set_box(1, (4, 6, 40, 50), 0)
        state.new_track("dog")
        state.set_box(2, (14, 6, 50, 50), 6)
        state.ignoring.draw([(1, 1), (9, 1), (9, 9)], 2)
        mask = np.zeros((64, 96), bool)
        mask[3:9, 5:20] = True
        state.apply("paint", state.tracks, {2: {1: Correction.whole(mask)}})
        state.classes.rename("dog", "ox")
        state.undo()
        state.undo()
        state.redo()
        state.journal.saved("0" * 64)
        state.journal.wrote([2])
        state.journal.kept()
        lines = state.journal.path.read_text(encoding="utf-8").splitlines()
        state.journal.close()
    return [json.loads(line) for line in lines], state


def test_the_records_lead_to_what_there_is(good):
    records, state = good
    found = Remembered(records, "here")
    assert (found.tracks, found.selected, found.fault) == (state.tracks, state.selected, "")
    assert found.corrections == state.corrections.items()
    assert (found.history.undo_name, found.history.redo_name) == (state.undo_name, state.redo_name)
    assert found.wrote(2)
    assert not found.waits
    assert found.saves[-1].tracks == state.tracks


def places(value, path=()):
    """All places in a record, as paths of keys."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_any_value_anywhere_is_an_error_of_ours(good, tmp_path, data):
    records = copy.deepcopy(good[0])
    for _ in range(data.draw(st.integers(1, 2))):
        record = data.draw(st.sampled_from(records))
        *way, last = data.draw(st.sampled_from([p for p in places(record) if p]))
        there = record
        try:
            for key in way:
                there = there[key]
            there[last] = data.draw(VALUES)
        except (TypeError, KeyError, IndexError):  # the first change removed it
            continue
    for record in records:
        record.pop("n", None)
    path = tmp_path / "journal.jsonl"
    Journal.begin(path, records).close()
    journal = Journal.open(path)
    try:
        found = Remembered(journal.records(), "here")
    except InputError as error:
        assert str(error)
    else:
        boxes_to_json(found.tracks)
    finally:
        journal.close()


@pytest.mark.parametrize("records", [[], [{"kind": "edit", "n": 1}], [{"n": 1}]])
def test_no_boxes_to_begin_with(records):
    with pytest.raises(InputError):
        Remembered(records, "here")
