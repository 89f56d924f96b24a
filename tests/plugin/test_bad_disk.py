"""A disk that is read-only, full or gone, in a real window: said, and nothing lost."""

from __future__ import annotations

import builtins
import errno
import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.kept_masks import kept_masks
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.stages import Stage
from napari_maskfree.worker import Job

SOON = 20_000


def spoil(monkeypatch, folder, code=errno.EROFS):
    """Let nothing be written under a folder: root may write where a mode forbids it."""

    def guard(module, name):
        real = getattr(module, name)

        def call(path, *arguments, **options):
            mode = str(arguments[0] if arguments else options.get("mode", "r"))
            writes = name != "open" or any(c in mode for c in "wax+")
            inside = isinstance(path, (str, Path)) and Path(path).is_relative_to(folder)
            if writes and inside and not (name in ("mkdir", "makedirs") and Path(path).is_dir()):
                raise OSError(code, os.strerror(code), str(path))
            return real(path, *arguments, **options)

        monkeypatch.setattr(module, name, call)

    guard(builtins, "open")
    guard(io, "open")
    for name in ("mkdir", "makedirs", "replace", "rename", "unlink", "rmdir", "link"):
        guard(os, name)


@pytest.fixture
def folder(clip_folder, tmp_path):
    """A session of one track with two runs' masks."""
    from maskfree.config import Config
    from maskfree.tracks import add_track, empty_tracks, set_keyframe
    from maskfree.types import Keyframe

    tracks, _ = add_track(empty_tracks(8, 64, 96, None))
    tracks = set_keyframe(tracks, 1, Keyframe(0, (0, 0, 90, 60)))
    session = Session.create(tmp_path / "disk" / "s", video_source=clip_folder, boxes=tracks)
    masks = InstanceMasks((1,), np.ones((1, 64, 96), bool), (0.5,))
    for name in ("0001", "0002"):
        run = session.new_run(Config(), seed=0)
        run.weights_path.write_bytes(b"")
        for frame in range(8):
            (kept_masks(run) if name == "0001" else session.mask_store()).write(frame, masks)
    session.predict_log.append({"status": "done", "run": "0002"})
    return session.path


def paint(window, frame=3):
    window.state.corrections.put({frame: {1: Correction.whole(np.eye(64, 96, dtype=bool))}})


def test_a_read_only_session(widget, hands, qtbot, notices, monkeypatch, folder, tmp_path):
    spoil(monkeypatch, folder)
    widget.open_session(folder)
    assert widget.project.masks.data[3, 3, 3] == 1
    assert not notices, "it may be looked at"

    widget.state.set_box(1, (5, 5, 40, 40), 3)
    qtbot.waitUntil(lambda: any("boxes are not saved yet" in n for n in notices), timeout=SOON)
    assert "Choose a folder that you may write to" in notices[-1]
    assert notices[-1].endswith("Save in… (section 1) takes another folder.")
    assert widget.video.folder.text() == "Not saved in: s"
    widget.state.set_box(1, (6, 5, 40, 40), 3)
    qtbot.wait(1300)
    assert len([n for n in notices if "not saved yet" in n]) == 1, "said once"
    assert widget.state.dirty

    paint(widget)
    assert "corrections are not saved yet" in notices[-1]
    assert widget.project.masks.data[3, 5, 5] == 1
    assert widget.project.masks.data[3, 5, 9] == 0

    notices.clear()
    widget.show_section("finetune")
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: not widget.finetune.preparing, timeout=SOON)
    assert any("may not be written" in n for n in notices)
    assert not widget.busy

    notices.clear()
    widget.show_section("masks")
    runs = widget.masks.runs
    qtbot.waitUntil(lambda: len(runs._found) == 2, timeout=SOON)
    runs._chosen(runs.rows.topLevelItem(1))
    qtbot.waitUntil(lambda: any("may not be written" in n for n in notices), timeout=SOON)

    widget.show_section("export")
    widget.export.path.setText(str(tmp_path / "out"))
    hands.press(widget.export.export)
    qtbot.waitUntil(lambda: widget.export.result.isVisible(), timeout=SOON)

    # away to another folder: boxes and corrections go along
    widget.state.set_folder(tmp_path / "elsewhere")
    widget.ask_save = lambda _: "save"
    widget.ask_lose = lambda _: pytest.fail("nothing is to be lost")
    assert widget.may_leave()
    assert widget.state.session.path == tmp_path / "elsewhere"
    widget.session_watch.look()
    assert widget.video.folder.text() == "Session: elsewhere"
    assert widget.state.session.corrections.frames() == [3]
    assert widget.state.session.boxes.tracks[0].keyframes[1].xyxy == (6, 5, 40, 40)


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC])
def test_leaving_a_session_that_cannot_be_written(
    widget, notices, monkeypatch, folder, tmp_path, code
):
    widget.open_session(folder)
    spoil(monkeypatch, tmp_path / "disk", code)
    widget.state.set_box(1, (5, 5, 40, 40), 3)
    asked = []
    widget.ask_save = lambda _: asked.append(1) or "cancel"
    assert not widget.may_leave()
    widget.ask_save = lambda _: "save"
    assert widget.may_leave()
    assert asked
    saved = tmp_path / "home" / "maskfree" / "s.boxes.json"
    assert str(saved) in notices[-1]
    assert saved.is_file()
    assert not widget.state.dirty


def test_removing_the_dock_saves_somewhere(widget, viewer, notices, monkeypatch, folder, tmp_path):
    widget.open_session(folder)
    spoil(monkeypatch, tmp_path / "disk")
    widget.state.set_box(1, (5, 5, 40, 40), 3)
    viewer.window.remove_dock_widget(widget)
    assert (tmp_path / "home" / "maskfree" / "s.boxes.json").is_file()


def test_a_session_that_was_moved_and_comes_back(widget, qtbot, notices, folder, hands):
    widget.open_session(folder)
    paint(widget)
    away = folder.with_name("away")
    folder.rename(away)
    for _ in range(3):
        widget.session_watch.look()
    assert len([n for n in notices if "is not there any more" in n]) == 1
    assert widget.state.dirty, "leaving asks"
    widget.state.set_box(1, (5, 5, 40, 40), 3)
    paint(widget, 4)
    widget.show_section("finetune")
    hands.press(widget.finetune.start)
    assert "Save in…" in notices[-1]
    assert not folder.exists(), "no half of a session is made in its place"
    away.rename(folder)
    widget.session_watch.look()
    qtbot.waitUntil(lambda: not widget.state.dirty, timeout=SOON)
    assert widget.state.session.corrections.frames() == [3, 4]
    assert [k.frame for k in widget.state.session.boxes.tracks[0].keyframes] == [0, 3]


def test_a_session_that_was_deleted_is_made_anew_elsewhere(widget, notices, folder, tmp_path):
    widget.open_session(folder)
    paint(widget)
    shutil.rmtree(folder)
    widget.session_watch.look()
    widget.state.set_folder(tmp_path / "new")
    widget.ask_save = lambda _: "save"
    widget.ask_lose = lambda _: pytest.fail("nothing is to be lost")
    assert widget.may_leave()
    assert Session.open(tmp_path / "new").corrections.frames() == [3]


def test_a_process_that_cannot_be_started_fails_and_ends(
    widget, qtbot, notices, monkeypatch, folder
):
    widget.open_session(folder)
    spoil(monkeypatch, folder)
    widget.finetune._launch(widget.state.session, Stage("finetune", ("x",), lambda: None))
    assert not widget.busy
    qtbot.waitUntil(lambda: any("process.log may not be" in n for n in notices), timeout=SOON)
    assert widget.finetune.start.isEnabled()


@pytest.mark.parametrize("first", [True, False])
def test_what_follows_cannot_be_started(qtbot, tmp_path, first, patience):
    done = Stage("finetune", (sys.executable, "-c", ""), lambda: None)
    gone = Stage("predict", (str(tmp_path / "no such program"),), lambda: None)
    job = Job([gone] if first else [done, gone], tmp_path)
    job.start()
    assert patience(lambda: not job.poll().active, 20)
    assert job.view.state == "failed"
    assert "no such program" in job.view.message


def test_a_run_whose_folder_is_gone_is_stopped_all_the_same(widget, folder, tmp_path):
    from maskfree.errors import InputError

    def stop():
        raise InputError("There is no session folder.")

    code = (sys.executable, "-c", "import time; time.sleep(600)")
    job = Job([Stage("finetune", code, lambda: None, stop)], tmp_path)
    widget.jobs.start(job)
    widget.jobs.kill()
    assert job.view.state == "stopped"
    assert job.pid is None


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_a_run_that_was_killed_says_what_is_left(widget, hands, qtbot, notices, folder):
    from maskfree.preview_files import Measure, Shot

    widget.open_session(folder)
    widget.show_section("finetune")
    run = widget.state.session.new_run(widget.state.session.runs()[0].config, seed=0)
    small = InstanceMasks((1,), np.ones((1, 8, 8), bool), (0.5,))
    files, measure = run.previews, Measure("confidence", (2,))
    files.write_picture(2, np.zeros((8, 8, 3), np.uint8))
    for moment in ("before", "now", "best"):
        files.write(moment, Shot(20, {2: small}, measure, ((20, 0.8),)))
    run.best_path.write_bytes(b"best")
    line = '{"step": 20, "steps": 180, "losses": {"class": 1.0}, "device": "cpu"}'
    log = run.log.path
    code = f"import os, signal; open({str(log)!r}, 'a').write({line!r} + chr(10)); "
    code += "print('fine-tuning 20/180'); os.kill(os.getpid(), signal.SIGKILL)"
    stage = Stage("finetune", (sys.executable, "-c", code), lambda: log)
    log.touch()
    widget.finetune._launch(widget.state.session, stage)
    qtbot.waitUntil(lambda: not widget.jobs.active, timeout=SOON)
    shown = widget.finetune.status.text()
    assert "ended by the system or by another program (SIGKILL)" in shown
    assert "memory ran out" in shown
    assert shown.endswith("press Use the best.")
    assert shown in notices[-1]
    strip, again = widget.finetune.strip, []
    assert strip.keep.text() == "Use the best: step 20"
    widget.finetune.predict_again = lambda: again.append(1)
    hands.press(strip.keep)
    assert run.keeps_best
    assert again == [1]
    assert not strip.keep.isVisible()
    assert widget.state.session.latest_run().path == run.path


def test_edits_while_the_session_is_being_saved_are_saved_too(widget, qtbot, folder, monkeypatch):
    widget.open_session(folder)
    seen = []
    prepare = widget.finetune._session_job()
    widget.finetune.with_session(prepare, lambda _: seen.append(widget.state.dirty))
    widget.state.set_box(1, (5, 5, 40, 40), 3)
    widget.session_watch._saver.stop()
    qtbot.waitUntil(lambda: bool(seen), timeout=SOON)
    assert seen == [True]
    qtbot.waitUntil(lambda: not widget.state.dirty, timeout=SOON)
    assert [k.frame for k in widget.state.session.boxes.tracks[0].keyframes] == [0, 3]


def test_a_video_that_goes_while_the_session_is_being_saved(widget, viewer, qtbot, notices, folder):
    widget.open_session(folder)
    seen = []
    widget.finetune.with_session(widget.finetune._session_job(), seen.append)
    viewer.layers.remove(widget.project.image)
    qtbot.waitUntil(lambda: not widget.finetune.preparing, timeout=SOON)
    assert not seen
    assert "nothing was started" in notices[-1]
    assert not widget.busy
