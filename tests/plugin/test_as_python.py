"""What *Copy as Python* copies does to boxes what the action does; and how a person copies it."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication, QMenu, QToolButton

from maskfree.config import ProposalConfig
from maskfree.corrections import Correction
from maskfree.propagate import with_proposed
from maskfree.tracks import read_boxes
from napari_maskfree._qt.cheat_sheet import CheatSheet
from napari_maskfree._qt.key_targets import other_targets
from napari_maskfree.as_python import NAMES, Situation, as_python, why_none
from napari_maskfree.keys import KEYS
from napari_maskfree.proposal import accept_proposal

SIZE = (64, 96)
SQUARE = ((5.0, 5.0), (20.0, 5.0), (20.0, 20.0), (5.0, 20.0))


def left() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[:, :48] = True
    return mask


def content(tracks):
    """Return classes, regions, ids, labels and keyframes, boxes to a hundredth of a pixel."""
    return (
        tracks.extra,
        [(r.polygon, r.frame, r.until) for r in tracks.ignore],
        [
            (
                t.id,
                t.label,
                [
                    (k.frame, k.xyxy and tuple(np.round(k.xyxy, 2)), k.outside, k.occluded)
                    for k in t.keyframes
                ],
            )
            for t in tracks.tracks
        ],
    )


ACTIONS = {
    "draw_boxes": lambda s: s.keep_box(1),
    "redraw_box": lambda s: s.keep_box(1),
    "new_track": lambda s: s.new_track("object"),
    "copy_last_box": lambda s: s.copy_last_box(1),
    "keep_box": lambda s: s.keep_box(1),
    "outside": lambda s: s.set_outside(1, True),
    "occluded": lambda s: s.set_occluded(1, True),
    "not_in_frame": lambda s: s.clear_here(1),
    "rename_track": lambda s: s.rename_track(1, "cat"),
    "split_track": lambda s: s.split_track(1),
    "swap_tracks": lambda s: s.swap_tracks(1, 2),
    "delete_track": lambda s: s.remove_track(1),
    "not_in_range": lambda s: s.clear_range(1, *s.range),
    "class_2": lambda s: s.classes.press(2),
    "new_class": lambda s: s.classes.add("cat"),
    "rename_class": lambda s: s.classes.rename("dog", "cat"),
    "reclass": lambda s: s.classes.give(1, "dog"),
    "ignore_region": lambda s: s.ignoring.draw(((10, 10), (50, 10), (50, 50), (10, 50))),
}
"""By name: what the button does to the state, without a window."""
SAID = {
    "rename_track": {"name": "cat"},
    "new_class": {"name": "cat"},
    "rename_class": {"name": "cat", "old_name": "dog"},
    "reclass": {"label": "dog"},
    "outside": {"absent_until": 5},
}


@pytest.mark.parametrize("name", ACTIONS)
def test_it_does_to_boxes_what_the_action_does(saved, copied, name):
    saved.select_range(2, 4)
    copied(name, **SAID.get(name, {}))
    ACTIONS[name](saved)
    assert content(saved.session.boxes) == content(saved.tracks)


@pytest.mark.parametrize(
    "name", ["outside", "split_track", "swap_tracks", "delete_track", "not_in_range"]
)
def test_corrections_go_along(saved, copied, name):
    said = Correction.make(left(), ~left())
    saved.corrections.put({f: {1: said} for f in (1, 2, 3, 4, 7)})
    saved.corrections.save()
    saved.select_range(2, 4)
    copied(name, **SAID.get(name, {}))
    on_disk = saved.session.corrections.read_all()
    ACTIONS[name](saved)
    assert on_disk == saved.corrections.items()


def test_two_tracks_become_one(saved, copied):
    saved.split_track(1, 3)
    saved.session.save_boxes(saved.tracks)
    saved.corrections.put({4: {3: Correction.make(left(), ~left())}})
    saved.corrections.save()
    copied("merge_tracks", track_id=1, other_id=3)
    on_disk = saved.session.corrections.read_all()
    saved.merge_tracks(1, 3)
    assert content(saved.session.boxes) == content(saved.tracks)
    assert on_disk == saved.corrections.items()


def test_what_is_said_is_taken_back(saved, copied):
    saved.set_outside(1, True)
    saved.session.save_boxes(saved.tracks)
    copied("outside", outside=True)
    saved.set_outside(1, False)
    assert content(saved.session.boxes) == content(saved.tracks)
    saved.set_occluded(1, True)
    saved.session.save_boxes(saved.tracks)
    copied("occluded", occluded=True)
    saved.set_occluded(1, False)
    assert content(saved.session.boxes) == content(saved.tracks)


def test_keyframes_go_as_they_do_in_the_window(saved, copied):
    saved.set_frame(6)
    saved.select_range(5, 7)
    copied("delete_range")
    saved.remove_keyframes(1, 5, 7)
    assert content(saved.session.boxes) == content(saved.tracks)
    saved.undo()
    saved.session.save_boxes(saved.tracks)
    copied("delete_keyframe")
    saved.delete_keyframe(1)
    assert content(saved.session.boxes) == content(saved.tracks)


def test_a_class_is_removed_and_colours_are_told(saved, copied, capsys):
    saved.classes.add("cat")
    saved.session.save_boxes(saved.tracks)
    copied("colour_by_class")
    assert "{1: (230, 159, 0), 2: (86, 180, 233)}" in capsys.readouterr().out
    copied("remove_class", label="cat")
    saved.classes.remove("cat")
    assert content(saved.session.boxes) == content(saved.tracks)


HOLDS = {
    "ignore_everywhere": lambda s: s.ignoring.hold_everywhere(0),
    "ignore_to_here": lambda s: s.ignoring.hold_to_here(0),
    "ignore_here_alone": lambda s: s.ignoring.hold_here_alone(0),
    "delete_region": lambda s: s.ignoring.remove([0]),
}


@pytest.mark.parametrize("name", HOLDS)
@pytest.mark.parametrize("drawn", [1, 5])
def test_ignore_regions_hold_as_in_the_window(saved, copied, name, drawn):
    saved.ignoring.draw(SQUARE, drawn)
    saved.session.save_boxes(saved.tracks)
    copied(name, until=drawn)
    HOLDS[name](saved)
    assert content(saved.session.boxes) == content(saved.tracks)


def test_boxes_files_come_and_go(saved, copied, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied("save_boxes")
    assert read_boxes(tmp_path / "boxes.json") == saved.session.boxes
    saved.delete_keyframe(1, 6)
    saved.session.save_boxes(saved.tracks)
    copied("load_boxes")
    assert saved.session.boxes == read_boxes(tmp_path / "boxes.json")


def test_boxes_are_proposed_and_accepted(saved, copied, capsys, monkeypatch):
    saved.set_frame(0)
    for name in ("propose_forward", "propose_backward"):
        assert isinstance(copied(name)["boxes"], dict)
    way = {1: (5.0, 6.0, 41.0, 50.0), 2: (9.0, 9.0, 45.0, 53.0), 3: (9.0, 20.0, 45.0, 63.0)}
    monkeypatch.setattr("maskfree.propagate.propagate_box", lambda *_, **__: way.items())
    copied("accept_to_here", frame=2, proposed_from=0)
    frames = [k.frame for k in saved.session.boxes.tracks[0].keyframes]
    saved.proposal.begin(saved.track(1), 0, forward=True)
    for frame, box in way.items():
        saved.proposal.add(frame, box)
    accept_proposal(saved, 2)
    assert content(saved.session.boxes) == content(saved.tracks)
    assert frames == [0, 1, 2, 6]
    saved.undo()
    saved.session.save_boxes(saved.tracks)
    copied("accept_proposal", proposed_from=0)
    expected, _ = with_proposed(saved.tracks, 1, 0, way, config=ProposalConfig())
    assert saved.session.boxes == expected


def test_what_is_worth_a_look_is_listed(copied, capsys):
    copied("next_finding")
    assert "0 Track 1 may be cut in frame 0" in capsys.readouterr().out


# ---- all of them


def test_a_session_that_is_not_saved_yet_is_made():
    text = as_python("fine_tune", Situation(session="a.maskfree", saved=False, video="a.mp4"))
    assert "Session.create(path, video_source='a.mp4', boxes=read_boxes" in text
    assert "Session.open(path)" in text, "what follows works on it, and does not begin anew"
    ast.parse(text)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_python(name):
    ast.parse(as_python(name, Situation()))
    assert not why_none(name)


@pytest.mark.parametrize("name", KEYS)
def test_every_action_has_python_or_says_why_not(name):
    assert (name in NAMES) != bool(why_none(name))


def test_what_only_moves_about_has_none():
    assert as_python("next_keyframe", Situation()) is None
    assert "only moves about" in why_none("next_keyframe")
    assert "no steps" in why_none("undo")


# ---- in a window


@pytest.fixture
def drawn(widget, clip_folder):
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (4, 6, 40, 50), 0)
    widget.project.go_to(3)
    return widget


def menu_of(target, at=None) -> list[tuple[str, bool]]:
    """Open a widget's context menu, choose the first entry if one can, and return all."""
    found: list[tuple[str, bool]] = []

    def look() -> None:
        menu = QApplication.activePopupWidget()
        assert isinstance(menu, QMenu)
        found.extend((each.text(), each.isEnabled()) for each in menu.actions())
        menu.close()
        menu.actions()[0].trigger()

    QTimer.singleShot(200, look)
    target.customContextMenuRequested.emit(at or target.rect().center())
    return found


def test_a_person_copies_from_the_page_of_keys(drawn, notices):
    drawn.show_keys()
    page = drawn.findChild(CheatSheet)
    offered, names = page.findChildren(QToolButton), [n for n in KEYS if n in NAMES]
    assert len(offered) == len(names)
    offered[names.index("split_track")].click()
    assert "split_track(tracks, 1, 3)" in QGuiApplication.clipboard().text()
    assert any("Copied" in n for n in notices)
    page.close()


def test_a_right_click_copies_or_says_why_not(drawn):
    assert menu_of(drawn.boxes.delete) == [("Copy as Python", True)]
    assert "remove_keyframe(tracks, 1, 3)" in QGuiApplication.clipboard().text()
    ((words, enabled),) = menu_of(drawn.boxes.undo)
    assert words.startswith("No Python: files hold no steps of undo")
    assert not enabled


def test_rows_have_their_own(drawn):
    rows = drawn.boxes.classes.rows
    place = rows.visualItemRect(rows.topLevelItem(0)).center()
    assert menu_of(rows, place) == [("Copy as Python", True)]
    assert "rename_class(tracks, 'object', 'new name')" in QGuiApplication.clipboard().text()


def test_every_other_button_has_python(drawn):
    for name, target in other_targets(drawn):
        assert name in NAMES
        drawn.python.copy(name)
        ast.parse(QGuiApplication.clipboard().text())
        assert target.contextMenuPolicy() == target.contextMenuPolicy().CustomContextMenu
