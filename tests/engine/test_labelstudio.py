"""Label Studio: sequences and the boxes they mean, what its own tools write, files at fault."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import HEIGHT, LABELS, WIDTH, damaged, drawn, only_boxes, save, states
from maskfree.errors import InputError, InputWarning
from maskfree.formats import FORMATS, Annotations, VideoFacts, export, labelstudio
from maskfree.formats.labelstudio_walk import Sequence, opened
from maskfree.types import BoxTracks, Keyframe, Track
from plain_annotations import everything

if TYPE_CHECKING:
    from pathlib import Path

FACTS = VideoFacts(10, HEIGHT, WIDTH, 12.5, [f"f{n}" for n in range(10)])


def entry(frame: int, x: float = 25, *, enabled: bool = True, **more: Any) -> dict[str, Any]:
    place = {"x": x, "y": 50, "width": 12.5, "height": 25, "rotation": 0, "time": frame / 12.5}
    return {"frame": frame, "enabled": enabled} | place | more


def region(*entries: dict[str, Any], number: str = "xK3_a", **more: Any) -> dict[str, Any]:
    value = {"framesCount": 10, "duration": 0.8, "sequence": list(entries), "labels": ["car"]}
    head = {"id": number, "type": "videorectangle", "from_name": "box", "to_name": "video"}
    return {**head, "origin": "manual", "value": value | more.pop("value", {}), **more}


def task(*regions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a project exports: one task, one annotation."""
    done = {"id": 4, "was_cancelled": False, "lead_time": 9.1, "result": list(regions)}
    data = {"video": "/data/upload/1/clip.mp4"}
    return {"id": 7, "data": data, "annotations": [done], "predictions": [], **more}


def read(folder: Path, content: Any, video: VideoFacts | None = FACTS) -> Annotations:
    return labelstudio.read_of(save(folder / "a.json", json.dumps(content)), video)


def frames(track: Track) -> list[tuple[int, bool]]:
    return [(each.frame, each.outside) for each in track.keyframes]


# --- written ---------------------------------------------------------------------------------


def test_sequences_of_the_published_form(tmp_path: Path) -> None:
    car = Track(
        7,
        "käfer",
        (
            Keyframe(0, (16.0, 24.0, 24.0, 36.0), occluded=True),
            Keyframe(2, (32.0, 24.0, 40.0, 36.0)),
            Keyframe(3, None, outside=True),
            Keyframe(5, (0.0, 0.0, 64.0, 48.0)),
            Keyframe(8, None, outside=True),
        ),
    )
    source = only_boxes(BoxTracks(10, HEIGHT, WIDTH, 12.5, (car,)))
    report = export(source, tmp_path / "a.json", "labelstudio")
    assert report.losses == (
        "'occluded' is not kept",
        "an object that leaves gets one more keyframe, in the last frame it is in",
    )
    (found,) = json.loads((tmp_path / "a.json").read_text())
    assert found["data"] == {"video": "video.mp4"}
    ((made,),) = [each["result"] for each in found["annotations"]]
    assert {name: made[name] for name in ("id", "type", "from_name", "to_name")} == {
        "id": "7",
        "type": "videorectangle",
        "from_name": "box",
        "to_name": "video",
    }
    value = made["value"]
    assert (value["framesCount"], value["duration"], value["labels"]) == (10, 0.8, ["käfer"])
    assert value["sequence"][0] == entry(1)
    shown = [(each["frame"], each["enabled"], each["x"]) for each in value["sequence"]]
    assert shown == [(1, True, 25), (3, False, 50), (6, True, 0), (8, False, 0)]
    (back,) = labelstudio.read(tmp_path / "a.json").boxes.tracks
    assert frames(back) == [(0, False), (2, False), (3, True), (5, False), (7, False), (8, True)]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(drawn(LABELS))
def test_any_boxes_come_back(
    tmp_path_factory: pytest.TempPathFactory, annotations: Annotations
) -> None:
    path = tmp_path_factory.mktemp("ls") / "a.json"
    losses = export(annotations, path, "labelstudio").losses
    back = labelstudio.read(path)
    for one, other in zip(states(annotations), states(back), strict=True):
        assert one.keys() == other.keys()
        for track_id, (box, _) in one.items():
            assert box == pytest.approx(other[track_id][0], abs=1e-6)
    named = [(track.id, track.label) for track in annotations.boxes.tracks]
    assert [(track.id, track.label) for track in back.boxes.tracks] == named
    assert back.boxes.fps == pytest.approx(annotations.boxes.fps)
    if not losses:
        both = zip(annotations.boxes.tracks, back.boxes.tracks, strict=True)
        assert all(frames(one) == frames(other) for one, other in both)
    second = export(back, path.with_name("b.json"), "labelstudio")
    assert second.losses == ()


def test_losses_are_named(tmp_path: Path) -> None:
    gone = (Keyframe(0, None, outside=True), Keyframe(1, (0.0, 0.0, 4.0, 4.0), extra={"by": "me"}))
    tracks = (Track(1, "a", gone), Track(2, "a", (), parent=1))
    source = only_boxes(BoxTracks(2, HEIGHT, WIDTH, None, tracks))
    assert export(source, tmp_path / "a.json", "labelstudio").losses == (
        "tracks without a box are not kept: 2",
        "parents (divisions) are not kept",
        "fields that the format does not know are not kept: by",
        "'outside' is not kept where the object was absent already",
    )
    with pytest.raises(InputError, match="labelstudio holds boxes, but no track has any"):
        export(only_boxes(BoxTracks(1, 9, 9, None, ())), tmp_path / "b.json", "labelstudio")
    extra = {"labelstudio": {"score": float("nan")}}
    source = only_boxes(BoxTracks(2, HEIGHT, WIDTH, None, (Track(1, "a", gone, extra=extra),)))
    with pytest.raises(InputError, match="A field kept for Label Studio is no JSON"):
        export(source, tmp_path / "b.json", "labelstudio")
    assert list(everything(tmp_path)) == ["a.json"]


def test_what_differs_is_found(tmp_path: Path) -> None:
    boxes = BoxTracks(
        10, HEIGHT, WIDTH, 12.5, (Track(7, "car", (Keyframe(0, (16.0, 24.0, 24.0, 36.0)),)),)
    )
    source, form, path = only_boxes(boxes), FORMATS["labelstudio"], tmp_path / "a.json"
    form.write(source, path)
    text = path.read_text()
    assert form.compare(source, form.read(path)).difference == ""
    for old, new, said in (
        ('"x": 25.0', '"x": 25.1', "track 7 differs"),
        ('"id": "7"', '"id": "8"', "track 7 differs"),
        ('"frame": 1', '"frame": 2', "track 7 differs"),
        ('"enabled": true', '"enabled": false', "track 7 differs"),
        ('"to_name": "video"', '"to_name": "movie"', "track 7 differs"),
        ('"original_width": 64', '"original_width": 65', "length or size differs"),
        ('"duration": 0.8', '"duration": 0.9', "frames a second differ"),
        ('"videorectangle"', '"rectangle"', "the number of tracks differs"),
    ):
        assert old in text
        save(path, text.replace(old, new, 1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            back = labelstudio.read_of(path, None if "rect" not in old else FACTS)
        assert said in form.compare(source, back).difference


# --- read ------------------------------------------------------------------------------------


def test_what_a_project_exports(tmp_path: Path) -> None:
    """The form of a JSON export: ids of letters, no size, entries with fields of their own."""
    first = region(entry(1), entry(5, 50, enabled=False, auto=True), entry(9, 0))
    second = region(entry(3, enabled=False), number="b", from_name="rect", meta={"text": ["x"]})
    content = [task(first, second)]
    with pytest.raises(InputError, match=r"does not say the size of its video.*--video PATH"):
        read(tmp_path, content, None)
    back = read(tmp_path, content)
    one, two = back.boxes.tracks
    assert (one.id, one.label, two.id) == (1, "car", 2)
    kept = {"labelstudio": {"auto": True}}
    assert one.keyframes == (
        Keyframe(0, (16.0, 24.0, 24.0, 36.0)),
        Keyframe(4, (32.0, 24.0, 40.0, 36.0), extra=kept),
        Keyframe(5, None, outside=True),
        Keyframe(8, (0.0, 24.0, 8.0, 36.0)),
    )
    assert frames(two) == [(2, False), (3, True)]
    own = {"origin": "manual", "from_name": "rect", "meta": {"text": ["x"]}}
    assert two.extra == {"labelstudio": own}
    assert list(back.frame_names) == list(FACTS.frame_names)
    export(
        dataclasses.replace(back, frame_names=[str(n) for n in range(10)]),
        tmp_path / "b",
        "labelstudio",
    )
    again = labelstudio.read(tmp_path / "b").boxes
    assert again == back.boxes
    assert again.extra == {"labelstudio": {"data": {"video": "/data/upload/1/clip.mp4"}}}


def test_predictions_where_nobody_annotated(tmp_path: Path) -> None:
    made = [{"model_version": "v1", "score": 0.9, "result": [region(entry(1))]}]
    skipped = {"was_cancelled": True, "result": [region(entry(2))]}
    back = read(tmp_path, task(annotations=[skipped], predictions=made))
    assert frames(back.boxes.tracks[0]) == [(0, False)]


def test_sequences_are_passed_over_and_read_one_by_one(tmp_path: Path) -> None:
    one, two = [entry(1), entry(4, 9)], [entry(2)]
    path = save(tmp_path / "é.json", json.dumps([task(region(*one), region(*two, number="ü"))]))
    with opened(path) as walk:
        (held,) = walk.outline()
        (done,) = held["annotations"]
        assert (held["data"], done["lead_time"]) == ({"video": "/data/upload/1/clip.mp4"}, 9.1)
        values = [each["value"] for each in done["result"]]
        assert [each["framesCount"] for each in values] == [10, 10]
        sequences = [each["sequence"] for each in values]
        assert all(isinstance(each, Sequence) for each in sequences)
        assert [list(walk.entries(each)) for each in reversed(sequences)] == [two, one]


def test_turned_rectangles_and_other_regions(tmp_path: Path) -> None:
    # 8 x 12 pixels, turned by 90 degrees about its upper left corner (16, 24)
    turned = region(entry(1, rotation=90), value={"labels": ["car", "red"]})
    with pytest.warns(InputWarning) as warned:
        back = read(tmp_path, task(turned, {"type": "timelinelabels"}))
    said = " ".join(str(each.message) for each in warned)
    assert "only videorectangle is read, not timelinelabels" in said
    assert "1 rectangles are turned" in said
    assert 'several labels, ["car", "red"]; the first is taken' in said
    (one,) = back.boxes.tracks
    assert one.keyframes[0].xyxy == (4.0, 24.0, 16.0, 32.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([], "expected one task, got 0"),
        ([task(), task()], r"expected one task, got 2\. Export a single one"),
        (3, "expected a task as an object"),
        (task(annotations=7), "annotations must be a list"),
        ({"video": "a.mp4", "box": []}, "neither annotations nor predictions with a result"),
        (task(annotations=[{"result": [1]}, {"result": [1]}]), "has 2 annotations, expected one"),
        (task({"type": "videorectangle"}), "expected a region's value as an object"),
        (task(region(value={"sequence": None})), "sequence must be a list"),
        (task(region(value={"labels": [1]})), "labels must be texts"),
        (task(region(entry(0))), "frame must be a whole number of at least 1, got 0"),
        (task(region(entry(11))), "frame 11: expected one entry a frame, up to 10"),
        (task(region(entry(2), entry(2))), "frame 2: expected one entry a frame"),
        (task(region(entry(2, "a"))), "x, y, width, height and rotation must be numbers"),  # type: ignore[arg-type]
        (task(region(entry(2, enabled=1))), "enabled must be true or false"),  # type: ignore[arg-type]
        (task(region(value={"framesCount": "ten"})), "framesCount must be a whole number"),
        (task(region(original_width=65)), "is for a video of 65 x 48 pixels"),
    ],
)
def test_files_at_fault(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        read(tmp_path, content)
    assert "\n" not in str(error.value)


def test_sizes_are_bounded(tmp_path: Path) -> None:
    size = {"original_width": 10**9, "original_height": 10**9}
    with pytest.raises(InputError, match="pixels in all, got 1000000000 x 1000000000"):
        read(tmp_path, task(region(entry(1), **size)), None)
    size = {"original_width": 9, "original_height": 9, "value": {"framesCount": 10**12}}
    with pytest.raises(InputError, match="1 to 10000000 frames, got 1000000000000"):
        read(tmp_path, task(region(entry(1), **size)), None)


GOOD = json.dumps(task(region(entry(1), entry(3, enabled=False), original_width=9))).encode()
WORDS = (b"{", b"}", b"[", b"]", b"null", b"true", b'"a"', b",", b'"frame"', b"[[[[[[", b"1e308")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=40), damaged(GOOD, WORDS)))
def test_nothing_but_our_own_errors(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz_labelstudio.json"
    save(path, raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        for video in (None, dataclasses.replace(FACTS, width=9), FACTS):
            try:
                back = labelstudio.read_of(path, video)
            except InputError as error:
                assert "\n" not in str(error)
            else:
                assert len(states(back)) == len(back.frame_names)
