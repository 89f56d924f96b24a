from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree.clip_features import ClipFeatures
from maskfree.config import Config, PredictConfig, SamplingConfig
from maskfree.errors import InputError
from maskfree.linking import Linker, TrackLinker
from maskfree.model.mask2former_video import VideoOutput
from maskfree.targets import box_targets
from stub_network import StubNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.targets import BoxTargets

HEIGHT, WIDTH = 8, 16  # of the grid
RGB = torch.zeros(2, 3, HEIGHT * 4, WIDTH * 4)
Rows = tuple[int, int, int, int] | None


def masks_of(*boxes: Sequence[Rows]) -> torch.Tensor:
    """Logits (Q, T, H, W): 10 in each query's box of a frame, -10 elsewhere."""
    logits = torch.full((len(boxes), len(boxes[0]), HEIGHT, WIDTH), -10.0)
    for q, line in enumerate(boxes):
        for t, box in enumerate(line):
            if box is not None:
                x0, y0, x1, y1 = box
                logits[q, t, y0:y1, x0:x1] = 10
    return logits


class Stub(StubNetwork):
    """A network that says what it is told; the mirrored pass gets the mirrored answer."""

    def __init__(self) -> None:
        super().__init__()
        self.masks = torch.zeros(0)
        self.classes = torch.zeros(0)
        self.prompts: list[torch.Tensor | None] = []

    def tell(self, masks: torch.Tensor, scores: Sequence[float] | torch.Tensor) -> Stub:
        self.masks = masks
        if not isinstance(scores, torch.Tensor):
            probability = torch.tensor(scores)
            scores = torch.stack([probability, 1 - probability], 1)
        self.classes = scores.clamp_min(1e-6).log()
        self.prompts.clear()
        return self

    def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None) -> VideoOutput:
        mirrored = len(self.prompts) % 2 == 1
        self.prompts.append(prompts)
        masks = self.masks.flip(-1) if mirrored else self.masks
        return VideoOutput((self.classes[None],), (masks[None],))


def link(
    linker: Any, stub: Stub, targets: Any = None, shared: int = 1, *, mirror: bool = True
) -> torch.Tensor:
    seen = ClipFeatures(stub, lambda frames: RGB, mirror=mirror).clip(0, len(RGB))
    logits: torch.Tensor = linker.link(seen, targets, shared=shared)
    return logits


A, B, C = (0, 0, 4, 4), (6, 2, 10, 6), (11, 1, 15, 7)
CONFIG = PredictConfig(score_threshold=0.3, duplicate_overlap=0.7, link_overlap=0.3)


# instances from the queries' scores


def test_instances_are_what_scores_high_and_shows_something() -> None:
    linker = Linker(CONFIG)
    stub = Stub().tell(masks_of([A, A], [B, B], [C, C], [None, None]), [0.9, 0.29, 0.31, 0.99])
    logits = link(linker, stub)
    assert linker.ids() == [1, 2]
    assert linker.scores() == pytest.approx([0.9, 0.31], abs=1e-4)
    torch.testing.assert_close(logits, stub.masks[[0, 2]])


def test_of_two_queries_that_show_the_same_the_better_one_stays() -> None:
    nearly = (0, 0, 4, 3)  # 3/4 of A
    for boxes, scores, expected in (
        (([A, A], [nearly, nearly]), [0.6, 0.8], [1]),
        (([A, A], [nearly, nearly]), [0.8, 0.6], [0]),
        (([A, A], [(0, 0, 4, 2)] * 2), [0.8, 0.6], [0, 1]),  # half is another object
    ):
        stub = Stub().tell(masks_of(*boxes), scores)
        torch.testing.assert_close(link(Linker(CONFIG), stub), stub.masks[expected])


def test_ids_stay_with_the_objects_when_queries_change() -> None:
    linker, stub = Linker(CONFIG), Stub()
    link(linker, stub.tell(masks_of([A, B], [C, C]), [0.9, 0.8]))
    logits = link(linker, stub.tell(masks_of([C, C], [B, A]), [0.9, 0.7]))
    assert linker.ids() == [1, 2]
    torch.testing.assert_close(logits, stub.masks[[1, 0]])
    assert linker.scores() == pytest.approx([0.7, 0.9], abs=1e-4)


def test_a_newcomer_gets_a_new_id_and_who_left_keeps_his() -> None:
    linker, stub = Linker(CONFIG), Stub()
    link(linker, stub.tell(masks_of([A, A], [B, B]), [0.9, 0.8]))
    logits = link(linker, stub.tell(masks_of([C, C], [A, A]), [0.9, 0.8]))
    assert linker.ids() == [1, 2, 3]
    torch.testing.assert_close(logits[[0, 2]], stub.masks[[1, 0]])
    assert not (logits[1] > 0).any()


def test_clips_are_compared_in_the_frames_that_they_share() -> None:
    # the objects change places; with three shared frames of four the places tell them apart
    linker, stub = Linker(CONFIG), Stub()
    link(linker, stub.tell(masks_of([A, A, B, C], [C, C, A, B]), [0.9, 0.8]), shared=0)
    following = masks_of([C, A, B, C], [A, B, C, A])
    logits = link(linker, stub.tell(following, [0.9, 0.8]), shared=3)
    torch.testing.assert_close(logits, following[[1, 0]])


def test_clips_without_a_shared_frame_are_compared_at_the_seam() -> None:
    linker, stub = Linker(CONFIG), Stub()
    link(linker, stub.tell(masks_of([A, B], [B, A]), [0.9, 0.8]), shared=0)
    logits = link(linker, stub.tell(masks_of([A, C], [B, C]), [0.9, 0.8]), shared=0)
    assert linker.ids() == [1, 2]
    torch.testing.assert_close(logits, stub.masks[[1, 0]])


def test_too_little_overlap_is_another_object() -> None:
    for overlap, ids in (((3, 0, 7, 4), [1, 2]), ((2, 0, 6, 4), [1])):  # IoU 1/7 and 1/3
        linker, stub = Linker(CONFIG), Stub()
        link(linker, stub.tell(masks_of([A, A]), [0.9]))
        link(linker, stub.tell(masks_of([overlap, overlap]), [0.9]))
        assert linker.ids() == ids


def test_clips_without_any_instance() -> None:
    linker, stub = Linker(CONFIG), Stub()
    for _ in range(2):
        logits = link(linker, stub.tell(masks_of([None, None]), [0.9]))
        assert logits.shape == (0, 2, HEIGHT, WIDTH)
    assert linker.ids() == []
    link(linker, stub.tell(masks_of([A, A]), [0.9]))
    assert linker.ids() == [1]
    assert link(linker, stub.tell(masks_of([None, None]), [0.9])).shape[0] == 1


def test_the_mirror_image_is_averaged_in() -> None:
    class Half(Stub):
        def forward(self, rgb: torch.Tensor, prompts: torch.Tensor | None) -> VideoOutput:
            first = not self.prompts
            output = super().forward(rgb, prompts)
            factor = 1.0 if first else 0.5
            return VideoOutput(output.class_logits, (output.mask_logits[0] * factor,))

    stub = Half().tell(masks_of([A, B]), [0.9])
    torch.testing.assert_close(link(Linker(CONFIG), stub), stub.masks * 0.75)


def test_the_mirror_image_can_be_left_out() -> None:
    stub = Stub().tell(masks_of([A, B]), [0.9])
    logits = link(Linker(CONFIG), stub, mirror=False)
    torch.testing.assert_close(logits, stub.masks)
    assert len(stub.prompts) == 1
    bound = TrackLinker([1], [1], Config())
    logits = link(bound, stub.tell(masks_of([A, B]), [0.9]), targets_of([A, B]), mirror=False)
    torch.testing.assert_close(logits, stub.masks)
    assert bound.scores() == pytest.approx([0.9], abs=1e-4)
    assert len(stub.prompts) == 1
    matched = TrackLinker([1], [], Config())
    logits = link(matched, stub.tell(masks_of([A, B]), [0.9]), targets_of([A, B]), mirror=False)
    torch.testing.assert_close(logits, stub.masks)
    assert len(stub.prompts) == 1


# instances from the boxes


def targets_of(*boxes: Sequence[Rows]) -> BoxTargets:
    array = np.array([[b or (np.nan,) * 4 for b in line] for line in boxes], float)
    array = array.reshape(len(boxes), -1, 4) if len(boxes) else np.zeros((0, 2, 4))
    return box_targets(array, np.zeros(array.shape[:2]), HEIGHT, WIDTH, config=SamplingConfig())


def test_bound_tracks_take_their_own_queries_prompted_with_their_boxes() -> None:
    stub = Stub().tell(masks_of([A, A], [B, B], [C, C]), [0.9, 0.8, 0.7])
    targets = targets_of([B, B], [A, None])
    linker = TrackLinker([7, 3], [3, 7], Config())
    logits = link(linker, stub, targets)
    assert linker.ids() == [7, 3]
    torch.testing.assert_close(logits, stub.masks[[1, 0]])
    assert linker.scores() == pytest.approx([0.8, 0.9], abs=1e-4)
    plain, mirrored = stub.prompts
    assert plain is not None
    assert mirrored is not None
    # one prompt for each bound query, as in training, in the order of the queries
    assert torch.equal(plain[0], targets.reach[[1, 0]])
    assert torch.equal(mirrored, plain.flip(-1))


def test_a_track_that_the_run_did_not_know_has_no_mask() -> None:
    stub = Stub().tell(masks_of([A, A], [B, B], [C, C]), [0.9, 0.8, 0.7])
    linker = TrackLinker([3, 9], [3, 7], Config())
    logits = link(linker, stub, targets_of([A, A], [B, B]))
    torch.testing.assert_close(logits[0], stub.masks[0])
    assert not (logits[1] > 0).any()
    assert linker.scores() == pytest.approx([0.9, 0], abs=1e-4)
    assert stub.prompts[0] is not None
    assert not stub.prompts[0][0, 1].any()  # track 7 is gone


@pytest.fixture
def tube(settings_of: Callable[..., Config]) -> Config:
    return settings_of(Config(), "matching", mode="tube", num_points=2000)


def test_unbound_tracks_are_matched_with_their_boxes(tube: Config) -> None:
    linker, stub = TrackLinker([5, 2, 8], [], tube), Stub()
    targets = targets_of([A, A], [None, None], [B, B])
    for boxes in (([C, C], [B, B], [A, A]), ([A, A], [C, C], [B, B])):
        logits = link(linker, stub.tell(masks_of(*boxes), [0.9, 0.8, 0.7]), targets)
        torch.testing.assert_close(logits[[0, 2]], masks_of([A, A], [B, B]))
        assert not (logits[1] > 0).any()
        assert linker.scores()[1] == 0
        assert stub.prompts[0] is None
    assert linker.scores() == pytest.approx([0.9, 0, 0.7], abs=1e-4)


def test_unbound_tracks_may_be_of_any_class(tube: Config) -> None:
    # two queries with the same mask: one is sure of the third class, the other of nothing
    stub = Stub().tell(
        masks_of([A, A], [A, A]), torch.tensor([[0.1, 0.1, 0.1, 0.7], [0.0, 0.0, 0.9, 0.1]])
    )
    linker = TrackLinker([1], [], tube)
    link(linker, stub, targets_of([A, A]))
    assert linker.scores() == pytest.approx([0.9], abs=1e-4)


def test_more_tracks_in_view_than_queries_is_told(tube: Config) -> None:
    stub = Stub().tell(masks_of([A, A]), [0.9])
    with pytest.raises(InputError) as caught:
        link(TrackLinker([1, 2], [], tube), stub, targets_of([A, A], [B, B]))
    assert str(caught.value) == (
        "2 tracks are in view, but the network was fine-tuned with 1 queries. Fine-tune again."
    )


@pytest.mark.parametrize("bound", [[], [1, 2]])
def test_no_tracks_no_masks(bound: list[int], tube: Config) -> None:
    stub = Stub().tell(masks_of([A, A], [B, B]), [0.9, 0.8])
    linker = TrackLinker([], bound, tube)
    assert link(linker, stub, targets_of()).shape == (0, 2, HEIGHT, WIDTH)
    assert linker.ids() == linker.scores() == []
