from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import job as job_module
import quality
from cache import Cache, job_name
from clips import true_ids
from job import Job, Result, make_boxes, run_job
from maskfree.metrics import evaluate
from maskfree.predict import predict
from maskfree.session import Session
from report import notes, table
from runner import Runner
from scores import spearman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskfree.config import Config
    from napari_maskfree.sample_data import GeneratedClip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, small_clip: GeneratedClip) -> Path:
    folder = tmp_path_factory.mktemp("clips") / "made"
    small_clip.write(folder)
    return folder


@pytest.fixture
def quick(small_config: Config, settings_of: Callable[..., Config]) -> Config:
    config = settings_of(small_config, "evidence", weight=0.0)
    return settings_of(config, "optimiser", steps=2)


# jobs, the cache, kept sessions


def test_a_job_makes_masks_and_scores(clip: Path, quick: Config, tmp_path: Path) -> None:
    result = run_job(Job(clip, quick, device="cpu"), tmp_path / "session")
    assert (result.clip, result.kind, result.tracks, result.frames) == ("made", "train", 2, 12)
    assert 0 < result.box_j < 1
    assert 0 <= result.j <= 1
    assert len(result.scored) == sum(len(np.unique(m)) - 1 for m in true_ids_of(clip).values())
    by_track = np.mean([j for _, j in result.scored])
    assert result.j == pytest.approx(by_track, abs=0.2)
    assert Result.from_json(json.loads(json.dumps(dataclasses.asdict(result)))) == result
    session = Session.open(tmp_path / "session")
    assert session.mask_store().frames() == list(range(12))
    # the network alone: as if its run had never refined; the session itself is as it was
    assert result.alone_j is not None
    kept = {t: session.mask_store().read(t).masks for t in range(12)}
    for _ in predict(session, device="cpu"):
        pass
    for t, masks in kept.items():
        np.testing.assert_array_equal(session.mask_store().read(t).masks, masks)
    run = session.latest_run()
    assert run is not None
    run.memory_path.unlink()
    for _ in predict(session, device="cpu"):
        pass
    names = [f"{t:05d}" for t in range(12)]
    plain = evaluate(session.mask_store().read, clip / "masks", names).j
    assert result.alone_j == pytest.approx(plain)
    assert plain != pytest.approx(result.j)
    assert not list(tmp_path.glob("*-alone"))


@pytest.mark.parametrize("kind", ["oracle", "filled"])
def test_what_is_not_refined_is_not_the_networks_alone(
    clip: Path, quick: Config, tmp_path: Path, kind: str
) -> None:
    assert run_job(Job(clip, quick, kind=kind, device="cpu"), tmp_path / "session").alone_j is None


def true_ids_of(clip: Path) -> dict[int, np.ndarray]:
    return true_ids(clip, [f"{t:05d}" for t in range(12)])


def test_an_unknown_kind(clip: Path, quick: Config) -> None:
    with pytest.raises(ValueError, match=r"kind must be one of train, oracle, filled, got trian\."):
        Job(clip, quick, kind="trian")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that were really run, in order; their results are made up."""
    jobs: list[Job] = []

    def run(job: Job, folder: Path) -> Result:
        Session.create(folder, video_source=job.clip / "frames", boxes=make_boxes(job))
        jobs.append(job)
        score = len(jobs) / 10
        scored = ((0.1, 0.2), (0.2, 0.3), (0.3, score))
        return Result("made", job.kind, job.seed, 2, 12, score, score, 0.4, 9.0, 1.0, scored)

    monkeypatch.setattr("runner.run_job", run)
    return jobs


def test_a_finished_job_is_not_run_again(
    clip: Path, quick: Config, tmp_path: Path, trained: list[Job], capsys: Any
) -> None:
    job = Job(clip, quick, device="cpu")
    first = Runner(cache=tmp_path).run(job)
    assert Runner(cache=tmp_path).run(job) == first
    assert len(trained) == 1
    one, two = capsys.readouterr().err.splitlines()
    assert one == "made seed 0: J 0.100 F 0.100, box 0.400, 10 s"
    assert two == f"{one} (finished before)"
    (file,) = tmp_path.iterdir()
    kept = json.loads(file.read_text())
    assert set(kept) == {"key", "commit", "result"}
    assert str(clip.parent) not in file.read_text()
    file.write_text(file.read_text()[:50])  # as of another program
    assert Runner(cache=tmp_path).run(job) != first
    Runner().run(job)
    assert len(trained) == 3


def test_whatever_changes_the_result_is_another_job(
    clip: Path, quick: Config, tmp_path: Path, settings_of: Callable[..., Config], monkeypatch: Any
) -> None:
    job = Job(clip, quick, device="cpu")
    changes: list[dict[str, Any]] = [
        {"every": 10},
        {"jitter": 0.1},
        {"first_only": True},
        {"kind": "oracle"},
        {"seed": 1},
        {"config": settings_of(quick, "optimiser", steps=3)},
    ]
    jobs = [job, *(dataclasses.replace(job, **change) for change in changes)]
    assert len({job_name(j) for j in jobs}) == len(jobs)
    assert job_name(dataclasses.replace(job, device="cpu")) == job_name(job)
    before = job_name(job)
    monkeypatch.setattr("cache.code_digest", lambda: "other code")
    assert job_name(job) != before
    assert Cache(tmp_path).read(job) is None


def test_a_kept_session_is_named_by_its_job_and_replaces_an_interrupted_one(
    clip: Path, quick: Config, tmp_path: Path, trained: list[Job], capsys: Any
) -> None:
    job = Job(clip, quick, device="cpu")
    runner = Runner(keep=tmp_path / "keep", cache=tmp_path / "cache")
    folder = tmp_path / "keep" / job_name(job)
    Session.create(folder, video_source=clip / "frames", boxes=make_boxes(job))
    (folder / "left").touch()
    runner.run(job)
    assert not (folder / "left").exists()
    assert len(Session.open(folder).boxes.tracks) == 2
    runner.run(job)
    assert len(trained) == 1
    Runner(keep=tmp_path / "other", cache=tmp_path / "cache").run(job)
    assert "its session was not kept; leave out --cache to run it" in capsys.readouterr().err


def test_a_sheet_of_each_run(clip: Path, quick: Config, tmp_path: Path, trained: list[Job]) -> None:
    folders = {"keep": tmp_path / "keep", "cache": tmp_path / "cache", "draw": tmp_path / "draw"}
    sheet = tmp_path / "draw" / "made-seed0.png"
    for _ in range(2):
        Runner(**folders).run(Job(clip, quick, device="cpu"))
        assert sheet.stat().st_size > 1000
        sheet.unlink()
    assert len(trained) == 1


# the table and the command


def result(**changes: Any) -> Result:
    scored = ((0.1, 0.1), (0.2, 0.3), (0.3, 0.2))
    first = Result("bear", "train", 0, 1, 40, 0.8, 0.6, 0.5, 100.0, 10.0, scored, 0.7)
    return dataclasses.replace(first, **changes)


def test_the_table() -> None:
    more = {"j": 0.9, "f": 0.8, "seed": 1}
    dog = result(clip="dog", scored=(), alone_j=None)
    lines = table([result(), result(**more), dog]).splitlines()
    assert lines == [
        "| clip | tracks | frames | box filled in J | **J** | F | J&F | network alone J | rho "
        "| train s | predict s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| bear | 1 | 40 | 0.500 | **0.850** (0.800 to 0.900) | 0.700 | 0.775 | 0.700 | 0.500 "
        "| 100 | 10 |",
        "| dog | 1 | 40 | 0.500 | **0.800** | 0.600 | 0.700 | – | – | 100 | 10 |",
        "| **mean** |  |  | 0.500 | **0.825** | 0.650 | 0.738 | 0.700 | 0.500 |  |  |",
    ]


def test_the_table_with_an_oracle() -> None:
    best = result(kind="oracle", j=1.0, seed=0)
    text = table([result(), best, result(clip="dog"), result(clip="dog", kind="oracle", j=0.9)])
    header, _, bear, dog, mean = text.splitlines()
    assert "| network alone J | oracle J | retention | rho |" in header
    assert "| 0.700 | 0.700 | 1.000 | 0.800 | 0.500 |" in bear
    assert "| 0.700 | 0.700 | 0.900 | 0.889 | 0.500 |" in dog
    assert "| 0.700 | 0.700 | 0.950 | 0.844 |" in mean
    assert "retention: J from boxes / J of the oracle" in notes([result(), best])
    assert "retention" not in notes([result()])


def test_the_pooled_rho_is_over_all_clips() -> None:
    low = tuple((s, j / 10) for s, j in ((0.1, 1), (0.2, 2), (0.3, 3)))
    high = tuple((s, j / 10) for s, j in ((0.1, 7), (0.2, 8), (0.3, 9)))
    mean = table([result(scored=low), result(clip="dog", scored=high)]).splitlines()[-1]
    pooled = spearman([*low, *high])
    assert pooled is not None
    assert pooled < 1
    assert f"| {pooled:.3f} |" in mean


def test_the_command_from_clip_to_table(clip: Path, tmp_path: Path, capsys: Any) -> None:
    small = ["sampling.frame_area=6144", "sampling.max_enlarge=1", "evidence.weight=0"]
    common = [str(clip), "--steps", "1", "--device", "cpu", "--cache", str(tmp_path)]
    assert quality.main([*common, "--set", *small]) == 0
    text = capsys.readouterr().out
    assert "| made | 2 | 12 |" in text
    assert "Boxes every 5 annotated frames, preset tiny, sampling.frame_area=6144 " in text
    assert quality.main([*common, "--set", *small, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["clip"] == "made"
    assert set(found) == {f.name for f in dataclasses.fields(Result)} - {"scored"} | {"rho"}
    assert len(list(tmp_path.iterdir())) == 1


def test_the_oracle_runs_beside_the_boxes(clip: Path, trained: list[Job], capsys: Any) -> None:
    assert quality.main([str(clip), "--seed", "0", "1", "--oracle", "--jitter", "0.1"]) == 0
    assert [(j.kind, j.seed, j.jitter) for j in trained] == [
        ("train", 0, 0.1),
        ("oracle", 0, 0.1),
        ("train", 1, 0.1),
        ("oracle", 1, 0.1),
    ]
    assert "sides moved by 0.1 of the box" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["quality", "ablation"])
def test_a_command_says_how_threads_wait_before_torch_is_imported(command: str) -> None:
    code = f"import sys, {command}; sys.exit('torch' in sys.modules)"
    folder = str(Path(quality.__file__).parent)
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "temporal"], "--set takes KEY=VALUE, got temporal."),
        (["--set", "temporal.wait=1"], 'There is no setting "temporal.wait".'),
        (["--preset", "tny"], "preset must be one of tiny, paper, released"),
        (["--every", "0"], "--every must be 1 or more frames"),
    ],
)
def test_bad_input_is_one_line(clip: Path, arguments: list[str], message: str, capsys: Any) -> None:
    assert quality.main([str(clip), *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("quality: error: ")
    assert message in error
    assert error.count("\n") == 1


def test_an_interrupted_series_goes_on(
    clip: Path, tmp_path: Path, trained: list[Job], monkeypatch: Any, capsys: Any
) -> None:
    from runner import run_job as stand_in

    def interrupted(job: Job, folder: Path) -> Result:
        if job.seed == 1:
            raise KeyboardInterrupt
        return stand_in(job, folder)

    command = [str(clip), "--seed", "0", "1", "--cache", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr("runner.run_job", interrupted)
        assert quality.main(command) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert quality.main(command) == 0
    assert [job.seed for job in trained] == [0, 1]


def test_the_boxes_run_never_sees_a_mask(
    clip: Path, quick: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_masks(*_: Any, **__: Any) -> Iterator[None]:
        raise AssertionError("a true mask was read for training")

    monkeypatch.setattr(job_module, "true_ids", no_masks)
    monkeypatch.setattr(job_module, "train_on_masks", no_masks)
    assert run_job(Job(clip, quick, device="cpu"), tmp_path / "session").kind == "train"
    with pytest.raises(AssertionError, match="a true mask"):
        run_job(Job(clip, quick, kind="oracle", device="cpu"), tmp_path / "oracle")
