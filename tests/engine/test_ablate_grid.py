"""Which jobs there are: groups, clips, boxes."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from ablation_clips import clip_named, write_clip
from maskfree.ablation.clips import find_clips, read_clip, shared_boxes, true_ids
from maskfree.ablation.groups import (
    BASE,
    GROUPS,
    Group,
    Recipe,
    Variant,
    chosen_groups,
    recipe_of,
)
from maskfree.ablation.parser import ABLATE_EPILOG
from maskfree.ablation.runner import jobs_of
from maskfree.errors import InputError, InputWarning
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from pathlib import Path

VARIANTS = [(group, variant) for group in GROUPS for variant in group.variants]


# ---- groups


@pytest.mark.parametrize(("group", "variant"), VARIANTS, ids=lambda each: each.__class__.__name__)
def test_every_variant_can_be_run_and_is_told_from_its_reference(
    group: Group, variant: Variant
) -> None:
    own, reference = recipe_of(variant, 150), recipe_of(group.reference, 150)
    assert (own == reference) == (variant is group.reference), variant.name
    assert f"optimiser.steps={7}" in recipe_of(variant, 7).settings


def test_names_differ_and_the_help_names_the_groups() -> None:
    keys = [group.key for group in GROUPS]
    assert f"Groups: {', '.join(keys)}." in ABLATE_EPILOG
    assert len(set(keys)) == len(keys)
    for group in GROUPS:
        names = [variant.name for variant in group.variants]
        assert len(set(names)) == len(names), group.key
        assert group.reference.expected == ""


def test_what_the_base_says_already_changes_nothing() -> None:
    base = recipe_of(Variant("base"), 150)
    assert recipe_of(Variant("K = 5", {"temporal.num_neighbors": "5"}), 150) == base
    assert recipe_of(Variant("T = 3", {"sampling.clip_length": "3"}), 150) == base
    assert {f"{key}={value}" for key, value in BASE.items()} < {
        re.sub(r"\.0$", "", word) for word in base.settings
    }


def test_a_setting_that_groups_share_is_run_once(tmp_path: Path) -> None:
    clips = [clip_named("a", tmp_path), clip_named("b", tmp_path)]
    groups = chosen_groups(["radius", "patch"])  # 3 and 4 rows, the base in both
    jobs = jobs_of(groups, clips, [4, 5], 150, "cpu")
    assert len(jobs) == len(set(jobs)) == 6 * 2 * 2
    assert [job.seed for job in jobs] == [4] * 12 + [5] * 12
    assert {job.clip.name for job in jobs[:6]} == {"a"}


def test_groups_come_in_their_own_order() -> None:
    assert [g.key for g in chosen_groups(["tube", "radius", "tube"])] == ["radius", "tube"]
    assert chosen_groups(None) == list(GROUPS)


def test_an_unknown_group_is_named_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        chosen_groups(["radios"])
    assert str(caught.value).startswith(
        'There is no group "radios" of settings. Did you mean "radius"? Choose among method, '
    )


# ---- clips


def test_clips_are_found_and_told_apart_by_their_bytes(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_clip(tmp_path / name)
    (tmp_path / "no clip").mkdir()
    a, b = find_clips(tmp_path)
    assert (a.name, b.name) == ("a", "b")
    assert a.digest == b.digest
    picture = tmp_path / "a" / "frames" / "00000.png"
    shutil.copy(tmp_path / "a" / "frames" / "00001.png", picture)
    assert read_clip(tmp_path / "a").digest != b.digest
    assert [clip.name for clip in find_clips(tmp_path, ["b", "a", "b"])] == ["b", "a"]


def test_a_clip_at_fault_is_left_out_and_the_others_are_taken(tmp_path: Path) -> None:
    for name in ("good", "no-masks", "gap", "lost"):
        write_clip(tmp_path / name)
    shutil.rmtree(tmp_path / "no-masks" / "masks")
    (tmp_path / "gap" / "frames" / "00001.png").unlink()
    (tmp_path / "gap" / "masks" / "00001.png").unlink()
    (tmp_path / "lost" / "frames" / "00003.png").unlink()
    with pytest.warns(InputWarning) as told:
        (clip,) = find_clips(tmp_path)
    assert clip.name == "good"
    gap, lost, bare = (str(each.message) for each in told)
    assert bare.startswith("The clip no-masks is left out: There are no true masks ")
    assert "lacks the frame 1: it goes from 0 to 3 and holds 3." in gap
    assert "lacks frames that have masks: 00003" in lost


def test_without_a_usable_clip_it_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no clip that can be used\. Each is a folder"):
        find_clips(tmp_path)
    with pytest.raises(InputError, match="There is no folder"):
        find_clips(tmp_path / "none")
    write_clip(tmp_path / "bear")
    with pytest.raises(InputError, match=r'holds no clip "baer" .* Did you mean "bear"\?'):
        find_clips(tmp_path, ["baer"])
    write_clip(tmp_path / "short", frames=1)
    with pytest.raises(InputError, match="holds 1 frame, 2 or more are needed"):
        read_clip(tmp_path / "short")


def test_every_fifth_frame_is_no_gap(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip")
    for part in ("frames", "masks"):
        for t in (3, 2, 1):
            path = clip / part / f"{t:05d}.png"
            path.rename(path.with_name(f"{5 * t:05d}.png"))
    assert read_clip(clip).name == "clip"


# ---- boxes


def test_the_share_of_frames_with_a_box(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip", frames=11)
    truth = true_ids(clip, [f"{t:05d}" for t in range(11)])
    size = (11, 64, 64)

    def keyframes(share: float) -> list[int]:
        (track,) = shared_boxes(truth, share, size).tracks
        return [keyframe.frame for keyframe in track.keyframes]

    assert keyframes(1.0) == list(range(11))
    assert keyframes(0.5) == [0, 2, 4, 6, 8, 10]
    assert keyframes(0.25) == [0, 5, 10]
    assert keyframes(0.01) == [0, 10]
    box = boxes_at(shared_boxes(truth, 0.01, size), 5)[1].xyxy
    assert box == (20.0, 16.0, 44.0, 40.0)  # it moves evenly


def test_a_track_that_goes_and_comes_back_keeps_the_edges_of_its_gap() -> None:
    here = np.zeros((8, 8), np.uint8)
    here[2:4, 2:4] = 1
    truth = {t: here if t in (0, 1, 5, 6) else np.zeros_like(here) for t in range(8)}
    (track,) = shared_boxes(truth, 0.01, (8, 8, 8)).tracks
    assert [(k.frame, k.outside) for k in track.keyframes] == [
        (0, False),
        (1, False),
        (2, True),
        (5, False),
        (6, False),
        (7, True),
    ]


def test_a_recipe_says_what_is_beside_the_settings() -> None:
    whole, part = Recipe(("a=1",)), Recipe(("a=1",), share=0.5)
    assert whole != part != Recipe(("a=1",), oracle=True)
