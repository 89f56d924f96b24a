from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

import ablation
import refinement
from ablation import CLIPS, VARIANTS, Row, Variant, jobs_of, page
from job import Job, Result
from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.settings import to_dict

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name in CLIPS:
        (tmp_path / "videos" / name / "frames").mkdir(parents=True)
    return tmp_path / "videos"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were run; each of the default has J 0.8, each of another 0.7."""
    jobs: list[Job] = []

    def run(self: Any, job: Job) -> Result:
        jobs.append(job)
        if job.config.pairwise.weight == 0 and job.clip.name == "dog":
            raise InputError("The loss is nan at step 3.")
        changed = to_dict(job.config) != to_dict(jobs[0].config)
        j = 0.7 if changed else 0.8
        return Result(job.clip.name, job.kind, job.seed, 1, 9, j, 0.5, 0.4, 1.0, 1.0)

    monkeypatch.setattr("runner.Runner.run", run)
    return jobs


def options(folder: Path, **changes: Any) -> argparse.Namespace:
    usual = {"clips": list(CLIPS), "only": None, "steps": 200, "seed": [0], "every": 5}
    return argparse.Namespace(**{"folder": folder, "device": "cpu", **usual, **changes})


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_every_variant_can_be_run_and_changes_something(variant: Variant, clips: Path) -> None:
    jobs = jobs_of(variant, options(clips, steps=Config().optimiser.steps, seed=[0, 1]))
    assert [(j.clip.name, j.seed) for j in jobs] == [(c, s) for c in CLIPS for s in (0, 1)]
    assert {j.kind for j in jobs} == {variant.kind}
    switched = to_dict(jobs[0].config) != to_dict(Config()) or variant.kind != "train"
    waits = variant.refinement == "off" and not refinement.SWITCHED_OFF
    assert switched == (variant.name != "default" and not waits)


def test_the_names_of_the_variants_differ() -> None:
    assert len({v.name for v in VARIANTS}) == len(VARIANTS)
    assert VARIANTS[0].name == "default"


def test_the_page(clips: Path) -> None:
    j: dict[str, float | None] = {"blackswan": 0.8, "dog": 0.7}
    default = Row(VARIANTS[0], j, {"blackswan": 0.3, "dog": 0.5}, {"blackswan": 0.7, "dog": 0.5})
    alone: dict[str, float] = {"blackswan": 0.5, "dog": 0.5}
    other = Row(Variant("no prior", "the middle"), {"blackswan": 0.6, "dog": 0.8}, {}, alone)
    failed = Row(Variant("no luck", "all"), {"blackswan": 0.6, "dog": None}, {})
    text = page([default, other, failed], options(clips, clips=["blackswan", "dog"], steps=50))
    assert "--steps 50 --seed 0 --clips blackswan dog\n" in text
    assert (
        """
| variant | switches off | blackswan | dog | mean | to the default | alone | to the default |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
| default | nothing | 0.800 | 0.700 | 0.750 |  | 0.600 |  |
| no prior | the middle | 0.600 | 0.800 | 0.700 | -0.050 | 0.500 | -0.100 |
| no luck | all | 0.600 | – | – | – | – | – |
| boxes filled in | everything | 0.300 | 0.500 | 0.400 | -0.350 | – | – |
"""
        in text
    )
    assert "50 steps, one seed (0)." in text
    assert "Commit " in text
    assert " cores." in text
    assert str(clips) not in text


def test_the_command_writes_the_page(
    clips: Path, tmp_path: Path, made: list[Job], capsys: Any
) -> None:
    out = tmp_path / "ABLATION.md"
    arguments = [str(clips), "--only", "no prior", "--cache", str(tmp_path / "cache")]
    assert ablation.main([*arguments, "--out", str(out)]) == 0
    text = out.read_text(encoding="utf-8")
    assert text == capsys.readouterr().out
    assert "| default | nothing | 0.800 | 0.800 | 0.800 | 0.800 | 0.800 |  | – |  |" in text
    assert "| 0.700 | -0.100 | – | – |" in text
    assert "--only 'no prior'\n" in text
    assert len(made) == 2 * len(CLIPS)
    assert {job.config.optimiser.steps for job in made} == {200}


def test_a_failed_job_leaves_a_gap_and_says_so(
    clips: Path, tmp_path: Path, made: list[Job], capsys: Any
) -> None:
    out = tmp_path / "page.md"
    common = [str(clips), "--cache", str(tmp_path / "cache"), "--out", str(out)]
    assert ablation.main([*common, "--only", "no pairwise"]) == 2
    assert "| 0.700 | – | 0.700 | 0.700 | – | – |" in out.read_text(encoding="utf-8")
    assert "no pairwise, dog seed 0: The loss is nan at step 3." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "no priors"], 'There is no variant "no priors". Did you mean "no prior"?'),
        (["--clips", "cat"], "cat with a folder frames. Name others: --clips."),
        (["--steps", "0"], "optimiser.steps must lie in 1 to"),
    ],
)
def test_bad_input_is_one_line(
    clips: Path, tmp_path: Path, arguments: list[str], message: str, made: list[Job], capsys: Any
) -> None:
    out = tmp_path / "page.md"
    assert ablation.main([str(clips), *arguments, "--out", str(out)]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not made
    assert not out.exists()


def test_rows_of_the_refinement_wait_for_it(
    clips: Path, tmp_path: Path, made: list[Job], monkeypatch: Any, capsys: Any
) -> None:
    names = ["--only", "no refinement", "refined boxes"]
    common = [str(clips), *names, "--cache", str(tmp_path), "--out", str(tmp_path / "page.md")]
    monkeypatch.setattr(refinement, "SWITCHED_OFF", {})
    assert ablation.main(common) == 0
    assert "left out, no refinement yet: no refinement, refined boxes" in capsys.readouterr().err
    assert len(made) == len(CLIPS)
    monkeypatch.setattr(refinement, "SWITCHED_OFF", {"consensus.refine": "false"})
    made.clear()
    assert ablation.main(common) == 0
    assert [j.kind for j in made[::4]] == ["train", "train", "filled"]
    assert made[0].config.consensus.refine
    assert not made[4].config.consensus.refine
