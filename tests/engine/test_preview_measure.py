"""What a preview is scored by: gold frames, or how sure the network is; and over a pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.predict import predict
from maskfree.preview_files import Measure
from maskfree.types import InstanceMasks
from training_run import go, last_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session
    from napari_maskfree.sample_data import GeneratedClip


def gold(session: Session, clip: GeneratedClip, frame: int) -> None:
    truth = {
        i: Correction.whole(clip.masks[frame] == i, gold=True)
        for i in (track.id for track in session.boxes.tracks)
    }
    session.corrections.write(frame, truth)


def test_gold_frames_are_the_measure_where_there_are_some(
    small_session: Session, small_config: Config, small_clip: GeneratedClip, often: None
) -> None:
    gold(small_session, small_clip, 6)
    list(go(small_session, small_config, previews=[2]))
    files = last_run(small_session).previews
    now = files.read("now")
    assert now.measure == Measure("gold", (6,))
    assert set(now.masks) == {2}
    list(predict(small_session, device="cpu"))
    from maskfree.gold_scores import gold_scores

    (found,) = gold_scores(small_session)
    # the same weights; a preview sees each frame from one clip, and not its mirror image
    assert now.score == pytest.approx(found.scores.j, abs=0.15)


def test_a_gold_frame_that_the_run_was_told_of_is_no_measure(
    small_session: Session, small_config: Config, small_clip: GeneratedClip, often: None
) -> None:
    gold(small_session, small_clip, 6)
    carried = {1: Correction.make(small_clip.masks[7] == 1, small_clip.masks[7] == 2, carried=6)}
    small_session.corrections.write(7, carried)
    list(go(small_session, small_config, previews=[2]))
    assert last_run(small_session).previews.read("now").measure.kind == "confidence"


def test_without_truth_the_networks_own_masks_are_scored(
    small_session: Session, small_config: Config, often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refined ones would be sure of themselves whatever the network says."""
    from maskfree import preview

    whole = preview.boxed_masks

    def told(
        grid: Any, tube: Any, ids: Any, ignored: Any, size: Any, config: Any, consensus: Any = None
    ) -> Any:
        made = whole(grid, tube, ids, ignored, size, config, consensus)
        score = 0.25 if consensus is None else 0.99
        masks = np.ones((len(ids), *size), bool)
        return InstanceMasks(tuple(ids), masks, (score,) * len(ids)) if len(made.masks) else made

    monkeypatch.setattr(preview, "boxed_masks", told)
    list(go(small_session, small_config, previews=[4]))
    now = last_run(small_session).previews.read("now")
    assert now.score == 0.25
    assert set(now.masks[4].scores) == {0.99}


@pytest.mark.parametrize("still_there", [True, False])
def test_a_resumed_run_goes_on_with_its_measure_where_it_can(
    small_session: Session,
    small_config: Config,
    small_clip: GeneratedClip,
    often: None,
    scored: Callable[..., None],
    still_there: bool,
) -> None:
    gold(small_session, small_clip, 6)
    scored(0.9, 0.2, 0.5, 0.3)
    steps = go(small_session, small_config, previews=[4])
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    first = run.best_path.read_bytes()
    gold(small_session, small_clip, 2)
    if not still_there:
        small_session.corrections.write(6, {})
    list(go(small_session, small_config, previews=[4], resume=True))
    now, best = run.previews.read("now"), run.previews.read("best")
    if still_there:
        assert now.measure == Measure("gold", (6,))
        assert best.step == 1
        assert run.best_path.read_bytes() == first
        return
    assert now.measure == Measure("gold", (2,))
    assert [step for step, _ in now.history] == [best.step]
    assert best.step > 2
    assert run.path.joinpath("earlier_best.safetensors").read_bytes() == first
    for name in ("json", "boxes.npz", "consensus.npz"):
        assert run.path.joinpath(f"earlier_best.{name}").is_file()


def test_a_resumed_run_goes_on_with_its_scores(
    small_session: Session, small_config: Config, often: None, scored: Callable[..., None]
) -> None:
    scored(0.9, 0.2, 0.5, 0.3)
    steps = go(small_session, small_config, previews=[4])
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    list(go(small_session, small_config, previews=[4], resume=True))
    files = last_run(small_session).previews
    assert files.read("now").history[0] == (1, 0.9)
    assert files.read("now").step == 4
    assert files.read("best").step == 1
