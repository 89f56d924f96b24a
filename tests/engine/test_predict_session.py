from __future__ import annotations

import collections
import itertools
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree import compose
from maskfree import predict as module
from maskfree.errors import InputError
from maskfree.predict import PredictProgress, predict
from maskfree.session import Session
from maskfree.train import finetune
from maskfree.video_file import VideoFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.consensus_memory import ConsensusMemory
    from maskfree.types import BoxTracks
    from maskfree.video import Video


@pytest.fixture
def trained(small_session: Session, small_config: Config) -> Session:
    for _ in finetune(small_session, small_config, device="cpu"):
        pass
    return small_session


def test_a_session_gets_masks_of_every_frame_and_a_log(trained: Session) -> None:
    progress = list(predict(trained, device="cpu"))
    assert [(p.frame, p.done, p.total) for p in progress] == [(t, t + 1, 12) for t in range(12)]
    assert isinstance(progress[0], PredictProgress)
    assert progress[-1].seconds_left == 0
    store = trained.mask_store()
    assert store.frames() == list(range(12))
    masks = store.read(0)
    assert masks is not None
    assert masks.masks.shape[1:] == (64, 96)
    first, *middle, end = trained.predict_log.records()
    assert first == {"status": "running", "run": "0001", "pid": os.getpid()}
    assert [r["frame"] for r in middle] == list(range(12))
    assert set(middle[0]) == {"frame", "done", "total", "seconds_left"}
    assert end == {"status": "done", "message": ""}


def test_few_frames_of_a_file_are_kept_and_none_is_sought(
    encode: Callable[..., Path],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = encode(tmp_path / "a.mp4", size=(64, 96), frames=60, gop=60)
    tracks = make_tracks({0: (10, 10, 50, 50), 59: (40, 10, 80, 50)}, num_frames=60)
    session = Session.create(tmp_path / "s", video_source=path, boxes=tracks)
    for _ in finetune(session, small_config, device="cpu"):
        pass
    opened: list[Video] = []
    plain = Session.open_video

    def watched(self: Session, *arguments: Any) -> Video:
        opened.append(plain(self, *arguments))
        return opened[0]

    def as_far_ahead_as_can_be(items: Iterator[Any], room: int) -> Iterator[Any]:
        coming = collections.deque(itertools.islice(items, room + 1))
        while coming:
            first = coming.popleft()
            coming.extend(itertools.islice(items, 1))
            yield first

    monkeypatch.setattr(Session, "open_video", watched)
    monkeypatch.setattr("maskfree.predict.ahead", as_far_ahead_as_can_be)
    few = 3 * 64 * 96 * 2 * small_config.predict.clip_length  # an overlap of one
    done, sought = 0, []
    for _ in predict(session, device="cpu"):
        (video,) = opened
        source = video._frames
        assert isinstance(source, VideoFile)
        assert video.cache.nbytes <= few
        assert source._passed.nbytes <= few
        sought.append(source.seeks)
        done += 1
    assert done == 60
    assert sought == [sought[0]] * 60
    assert opened[0].cache.misses == 60


def test_predicting_twice_gives_the_same(trained: Session) -> None:
    def masks() -> list[Any]:
        list(predict(trained, device="cpu"))
        return [trained.mask_store().read(t) for t in range(12)]

    for before, after in zip(masks(), masks(), strict=True):
        assert before.track_ids == after.track_ids
        assert before.scores == after.scores
        np.testing.assert_array_equal(before.masks, after.masks)


def test_another_videos_masks_do_not_change_whose_masks_the_session_shows(
    trained: Session, tmp_path: Path
) -> None:
    from maskfree.kept_masks import shown_run

    trained.predict_log.append({"status": "done", "run": "0000", "message": ""})
    other = trained.video_source
    assert other is not None
    list(predict(trained, video=other, frames=(0, 2), device="cpu"))
    assert shown_run(trained) == "0000"


def test_some_frames_leave_the_others_as_they_are(trained: Session) -> None:
    list(predict(trained, frames=(2, 5), device="cpu"))
    assert trained.mask_store().frames() == [2, 3, 4]
    list(predict(trained, frames=(4, 6), device="cpu"))
    assert trained.mask_store().frames() == [2, 3, 4, 5]
    assert len(trained.predict_log.records()) == 4


@pytest.mark.parametrize("frames", [(0, 13), (5, 5), (6, 5), (-1, 4), (12, 13)])
def test_frames_that_do_not_exist_are_refused(trained: Session, frames: tuple[int, int]) -> None:
    with pytest.raises(InputError) as caught:
        list(predict(trained, frames=frames, device="cpu"))
    assert str(caught.value) == (
        f"--frames {frames[0]}:{frames[1]} does not lie within the video's frames 0:12. "
        "Give A:B with 0 <= A < B; B itself is not predicted."
    )
    assert trained.mask_store().frames() == []


def test_a_session_without_a_run_is_refused(small_session: Session) -> None:
    with pytest.raises(InputError) as caught:
        list(predict(small_session, device="cpu"))
    path = small_session.path
    assert str(caught.value) == (
        f"{path} has no fine-tuned run to predict with. Run: maskfree finetune --session {path}"
    )


def test_another_video_gets_its_masks_beside(trained: Session, tmp_path: Path) -> None:
    import tifffile

    list(predict(trained, frames=(0, 2), device="cpu"))
    before = trained.mask_store().read(0)
    frames = np.random.default_rng(1).integers(0, 256, (4, 48, 80, 3), dtype=np.uint8)
    other = tmp_path / "other clip.tif"
    tifffile.imwrite(other, frames, photometric="rgb", metadata={"axes": "TYXS"})
    progress = list(predict(trained, video=other, device="cpu"))
    assert [p.frame for p in progress] == [0, 1, 2, 3]
    store = trained.mask_store("other clip")
    assert store.frames() == [0, 1, 2, 3]
    masks = store.read(3)
    assert masks is not None
    assert masks.masks.shape[1:] == (48, 80)
    assert trained.mask_store().frames() == [0, 1]
    after = trained.mask_store().read(0)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.masks, after.masks)


def test_the_boxes_are_for_the_sessions_own_video_only(
    monkeypatch: pytest.MonkeyPatch, trained: Session
) -> None:
    asked: list[Any] = []

    def spy(video: Any, tracks: Any, model: Any, config: Any, **settings: Any) -> Any:
        asked.append((tracks, settings["track_ids"]))
        return iter(())

    monkeypatch.setattr(module, "predict_video", spy)
    list(predict(trained, device="cpu"))
    list(predict(trained, video=trained.video_source, device="cpu"))  # named, so another
    assert asked == [(trained.boxes, [1, 2]), (None, [1, 2])]


def test_closing_keeps_the_frames_that_are_done(trained: Session) -> None:
    found = predict(trained, device="cpu")
    for _ in range(5):
        next(found)
    found.close()  # type: ignore[attr-defined]
    assert trained.mask_store().frames() == [0, 1, 2, 3, 4]
    assert trained.predict_log.records()[-1] == {"status": "stopped", "message": ""}


def test_a_failure_is_logged_and_raised(monkeypatch: pytest.MonkeyPatch, trained: Session) -> None:
    def fails(*args: Any, **settings: Any) -> Any:
        raise RuntimeError("no more memory")

    monkeypatch.setattr(compose, "compose", fails)
    with pytest.raises(RuntimeError, match="no more memory"):
        list(predict(trained, device="cpu"))
    assert trained.predict_log.records()[-1] == {"status": "failed", "message": "no more memory"}


def test_what_the_run_knows_of_its_video_refines_its_masks(
    monkeypatch: pytest.MonkeyPatch, trained: Session
) -> None:
    memories: list[ConsensusMemory | None] = []

    def spy(*args: Any, memory: ConsensusMemory | None, **settings: Any) -> Any:
        memories.append(memory)
        return iter(())

    monkeypatch.setattr(module, "predict_video", spy)
    list(predict(trained, device="cpu"))
    list(predict(trained, video=trained.video_source, device="cpu"))  # named, so another
    run = trained.runs()[-1]
    run.memory_path.unlink()
    list(predict(trained, device="cpu"))
    own, other, gone = memories
    assert own is not None
    assert set(own.colours) == {1, 2}
    assert other is None
    assert gone is None


def test_a_run_that_is_not_to_refine_predicts_with_its_network_alone(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "consensus", refine=False)
    list(finetune(small_session, config, device="cpu"))
    run = small_session.runs()[-1]
    run.memory_path.write_bytes(b"not even read")
    assert len(list(predict(small_session, frames=(0, 3), device="cpu"))) == 3


def test_a_damaged_memory_is_told(trained: Session) -> None:
    path = trained.runs()[-1].memory_path
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError) as caught:
        list(predict(trained, device="cpu"))
    assert str(caught.value) == f"{path} is damaged. Fine-tune again."


def test_the_newest_run_with_weights_predicts(trained: Session, small_config: Config) -> None:
    trained.new_run(small_config, seed=4)  # begun, and without a checkpoint yet
    list(predict(trained, frames=(0, 1), device="cpu"))
    assert trained.predict_log.records()[0]["run"] == "0001"
