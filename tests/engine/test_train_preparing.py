"""What happens before a run's first step: it is told, it can be stopped, it leaves nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from maskfree import train
from maskfree.errors import InputError
from maskfree.run import Run
from maskfree.train import finetune

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session

LAST_BOX = "boxes after the last keyframe, round 1 of 2"


@pytest.fixture
def config(small_config: Config) -> Config:
    optimiser = dataclasses.replace(small_config.optimiser, steps=2, checkpoint_every=1)
    follow = dataclasses.replace(small_config.follow, held_passes=2)
    return dataclasses.replace(small_config, optimiser=optimiser, follow=follow)


@pytest.fixture
def one_box(make_session: Callable[..., Session], small_clip: Any) -> Session:
    """One box a track, in the first frame."""
    boxes = small_clip.boxes(every=4)
    first = [dataclasses.replace(t, keyframes=t.keyframes[:1]) for t in boxes.tracks]
    return make_session(small_clip.frames, dataclasses.replace(boxes, tracks=tuple(first)))


def stages(heard: list[tuple[str, int, int]]) -> list[str]:
    return list(dict.fromkeys(what for what, _, _ in heard))


def test_who_watches_hears_each_part_to_its_end(small_session: Session, config: Config) -> None:
    heard: list[tuple[str, int, int]] = []
    next(iter(finetune(small_session, config, device="cpu", watch=lambda *w: heard.append(w))))
    assert stages(heard) == [
        "boxes between keyframes",
        "the camera's motion",
        "background seen elsewhere",
        "colours",
    ]
    for what in stages(heard):
        done = [d for name, d, _ in heard if name == what]
        total = {t for name, _, t in heard if name == what}
        assert done == sorted(done)
        assert (done[0], {done[-1]}) == (0, total)


def test_rounds_are_numbered(one_box: Session, config: Config) -> None:
    heard: list[tuple[str, int, int]] = []
    next(iter(finetune(one_box, config, device="cpu", watch=lambda *w: heard.append(w))))
    assert stages(heard) == [
        *(
            f"{what}, round {number} of 2"
            for number in (1, 2)
            for what in (
                "boxes after the last keyframe",
                "the camera's motion",
                "background seen elsewhere",
            )
        ),
        "colours",
    ]
    last = [(done, total) for what, done, total in heard if what == LAST_BOX][-1]
    assert last[0] == last[1] == sum(11 - t.keyframes[0].frame for t in one_box.boxes.tracks)


def test_the_metrics_say_how_far_it_is(small_session: Session, config: Config) -> None:
    next(iter(finetune(small_session, config, device="cpu")))
    records = small_session.runs()[-1].records()
    assert records[0]["status"] == "running"
    assert records[1].keys() == {"preparing", "done", "total"}
    assert "losses" in records[-2]  # the last one says that it was stopped


def test_it_can_be_stopped_before_the_first_step(small_session: Session, config: Config) -> None:
    def ask(_what: str, _done: int, _total: int) -> None:
        small_session.runs()[-1].request_stop()

    assert list(finetune(small_session, config, device="cpu", watch=ask)) == []
    run = small_session.runs()[-1]
    assert (run.status, run.steps_done, run.has_checkpoint) == ("stopped", 0, False)
    assert len(list(finetune(small_session, config, device="cpu"))) == 2


@pytest.mark.parametrize("failure", [InputError("no room"), KeyboardInterrupt()])
def test_a_look_that_fails_leaves_no_run(
    small_session: Session,
    config: Config,
    failure: BaseException,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise failure

    monkeypatch.setattr(train, "prepare", fail)
    with pytest.raises(type(failure)):
        list(finetune(small_session, config, device="cpu"))
    assert small_session.runs() == []


def test_a_resumed_look_that_fails_leaves_the_run_as_it_was(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    next(iter(finetune(small_session, config, device="cpu")))

    def fail(*_: object, **__: object) -> None:
        raise InputError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(train, "prepare", fail)
        with pytest.raises(InputError, match="no room"):
            list(finetune(small_session, config, device="cpu", resume=True))
    assert (small_session.runs()[-1].status, small_session.runs()[-1].steps_done) == ("stopped", 1)
    assert [p.step for p in finetune(small_session, config, device="cpu", resume=True)] == [2]


def test_a_resumed_run_follows_no_box_again(one_box: Session, config: Config) -> None:
    whole = [p.losses for p in finetune(one_box, config, device="cpu")]
    next(iter(finetune(one_box, config, device="cpu")))
    heard: list[tuple[str, int, int]] = []
    resumed = finetune(one_box, config, device="cpu", resume=True, watch=lambda *w: heard.append(w))
    assert [p.losses for p in resumed] == whole[1:]
    assert stages(heard) == ["the camera's motion", "background seen elsewhere", "colours"]


def test_a_resumed_run_whose_boxes_are_damaged_follows_them_again(
    one_box: Session, config: Config
) -> None:
    next(iter(finetune(one_box, config, device="cpu")))
    one_box.runs()[-1].tube_path.write_bytes(b"no boxes")
    heard: list[tuple[str, int, int]] = []
    list(finetune(one_box, config, device="cpu", resume=True, watch=lambda *w: heard.append(w)))
    assert LAST_BOX in stages(heard)


def test_a_run_that_cannot_be_begun_is_not_left(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("The disk is full.")

    monkeypatch.setattr(Run, "append", full)
    with pytest.raises(InputError, match="full"):
        list(finetune(small_session, config, device="cpu"))
    assert small_session.runs() == []


def test_a_resumed_run_follows_boxes_that_were_drawn_again(
    one_box: Session, config: Config
) -> None:
    next(iter(finetune(one_box, config, device="cpu")))
    track = one_box.boxes.tracks[0]
    x0, y0, x1, y1 = track.keyframes[0].xyxy or (0, 0, 0, 0)
    moved = dataclasses.replace(track.keyframes[0], xyxy=(x0 + 1, y0, x1, y1))
    changed = dataclasses.replace(track, keyframes=(moved,))
    others = one_box.boxes.tracks[1:]
    one_box.save_boxes(dataclasses.replace(one_box.boxes, tracks=(changed, *others)))
    heard: list[tuple[str, int, int]] = []
    list(finetune(one_box, config, device="cpu", resume=True, watch=lambda *w: heard.append(w)))
    assert LAST_BOX in stages(heard)
