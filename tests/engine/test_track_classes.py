"""Classes of a video: their order is steady, and they are part of the boxes file."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import pytest

from maskfree import track_classes as tc
from maskfree.errors import InputError
from maskfree.tracks import (
    add_track,
    empty_tracks,
    find_track,
    read_boxes,
    remove_track,
    set_keyframe,
    write_boxes,
)
from maskfree.types import BoxTracks, Keyframe

if TYPE_CHECKING:
    from pathlib import Path


def labelled(*labels: str) -> BoxTracks:
    tracks = empty_tracks(4, 20, 30, None)
    for label in labels:
        tracks, track_id = add_track(tracks, label)
        tracks = set_keyframe(tracks, track_id, Keyframe(0, (1.0, 1.0, 9.0, 9.0)))
    return tracks


def labels(tracks: BoxTracks) -> list[str]:
    return [track.label for track in tracks.tracks]


def test_they_are_the_labels_in_the_order_of_the_tracks() -> None:
    assert tc.class_names(labelled("car", "dog", "car", "cat")) == ("car", "dog", "cat")
    assert tc.class_names(empty_tracks(4, 20, 30, None)) == ()


def test_an_added_class_waits_for_its_first_track() -> None:
    tracks = tc.add_class(labelled("car"), " dog ")
    assert tc.class_names(tracks) == ("car", "dog")
    assert labels(tracks) == ["car"]
    tracks, _ = add_track(tracks, "cat")
    assert tc.class_names(tracks) == ("car", "dog", "cat")


def test_renaming_changes_all_its_tracks_and_keeps_its_place() -> None:
    tracks = tc.rename_class(labelled("car", "dog", "car"), "car", "van")
    assert labels(tracks) == ["van", "dog", "van"]
    assert tc.class_names(tracks) == ("van", "dog")
    assert tc.rename_class(tracks, "dog", "dog") == tracks


def test_two_classes_of_one_name_are_one() -> None:
    tracks = tc.rename_class(labelled("car", "dgo", "dog"), "dgo", "dog")
    assert labels(tracks) == ["car", "dog", "dog"]
    assert tc.class_names(tracks) == ("car", "dog")


def test_another_class_for_a_track_moves_no_class() -> None:
    tracks = tc.reclass_track(labelled("car", "dog"), 1, "dog")
    assert labels(tracks) == ["dog", "dog"]
    assert tc.class_names(tracks) == ("car", "dog")
    assert tc.class_names(tc.remove_class(tracks, "car")) == ("dog",)


def test_a_label_written_on_a_track() -> None:
    # the only one of its class: the class has another name
    assert tc.class_names(tc.relabel_track(labelled("object", "dog"), 1, "car")) == ("car", "dog")
    # one of several: a new class
    several = tc.relabel_track(labelled("object", "object"), 1, "car")
    assert labels(several) == ["car", "object"]
    assert tc.class_names(several) == ("object", "car")


def test_the_others_stay_when_a_track_goes() -> None:
    before = labelled("car", "dog")
    after = tc.steady_classes(before, remove_track(before, 1))
    assert tc.class_names(after) == ("car", "dog")
    last = remove_track(before, 2)
    assert tc.steady_classes(before, last) is last
    more, _ = add_track(before, "cat")
    assert tc.steady_classes(before, more) is more


def test_the_file_lists_them_only_where_the_labels_do_not_say(tmp_path: Path) -> None:
    plain = labelled("car", "dog")
    added = tc.add_class(plain, "cat")
    write_boxes(tmp_path / "boxes.json", added)
    assert json.loads((tmp_path / "boxes.json").read_text())["classes"] == ["car", "dog", "cat"]
    back = read_boxes(tmp_path / "boxes.json")
    assert tc.class_names(back) == ("car", "dog", "cat")
    assert tc.remove_class(back, "cat") == plain
    assert "classes" not in tc.rename_class(plain, "car", "van").extra


@pytest.mark.parametrize("foreign", [{"1": "car"}, [1, 2], [""], "car"])
def test_a_field_of_another_tool_is_left_alone(foreign: object) -> None:
    tracks = dataclasses.replace(labelled("car"), extra={"classes": foreign})
    assert tc.class_names(tracks) == ("car",)
    with pytest.raises(InputError, match=r'field "classes" that is no list of names: .* Remove it'):
        tc.add_class(tracks, "dog")


def test_bad_input() -> None:
    tracks = labelled("car")
    with pytest.raises(InputError, match='There is a class "car" already'):
        tc.add_class(tracks, "car")
    with pytest.raises(InputError, match="A class needs a name, got blank text"):
        tc.add_class(tracks, "  ")
    with pytest.raises(InputError, match=r'There is no class "dog".* The classes are: car'):
        tc.rename_class(tracks, "dog", "cat")
    with pytest.raises(InputError, match='Track 1 is of class "car"'):
        tc.remove_class(tracks, "car")
    with pytest.raises(InputError, match="There is no track 5"):
        tc.reclass_track(tracks, 5, "dog")
    assert find_track(tracks, 1).label == "car"
