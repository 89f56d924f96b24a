"""One job: in this process, in one of its own, and one that goes wrong."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ablation_clips import RESULT, clip_named, write_clip
from maskfree.ablation import job_process, which_code
from maskfree.ablation.cache import Cache
from maskfree.ablation.child import Children, JobFailed
from maskfree.ablation.clips import read_clip
from maskfree.ablation.groups import Recipe
from maskfree.ablation.job import Job, JobResult, run_job
from maskfree.ablation.loss_memory import peak_of, temporal_bytes
from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.model.initial import Pretrained
from maskfree.settings import override

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    "optimiser.steps=2",
    "optimiser.norm_clips=0",
    "sampling.frame_area=4096",
    "sampling.max_enlarge=1",
    "evidence.seek=false",
    "evidence.weight=0",
    "consensus.train=false",
    "consensus.refine=false",
    "follow.between=false",
    "follow.held_passes=0",
)
ORACLE = ("objective.supervision=masks", "matching.mode=bound")


def python(code: str) -> tuple[str, ...]:
    """A process that stands in for a job's: it reads what is asked and runs ``code``."""
    return sys.executable, "-c", f"import json, sys; asked = json.load(sys.stdin); {code}"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(read_clip(write_clip(tmp_path / "clip")), Recipe(SMALL), 3, "cpu")


def test_a_real_job_as_its_process_does_it(job: Job, tmp_path: Path) -> None:
    asked = {
        "clip": job.clip.name,
        "folder": str(job.clip.folder),
        "digest": job.clip.digest,
        "settings": list(SMALL),
        "share": 1.0,
        "oracle": False,
        "seed": 3,
        "device": "cpu",
        "threads": 1,
        "code": which_code.code_digest(),
        "session": str(tmp_path / "session"),
    }
    told: list[dict[str, Any]] = []
    said, code = job_process._answer(asked, told.append)
    assert code == 0, said
    found = JobResult.from_json(said["result"], "here")
    assert found.box_j == pytest.approx(np.pi / 4, abs=0.02)  # a disc in its box
    assert found.loss_bytes > 0
    assert told[:2] == [{"done": 1, "of": 2}, {"done": 2, "of": 2}]
    again = job_process._answer(asked, told.append)  # the folder is not free any more
    assert again[1] == 2
    assert "input" in again[0]
    other = job_process._answer({**asked, "digest": "other"}, told.append)
    assert other == ({"input": "The clip's files have changed meanwhile. Run the same again."}, 2)


@pytest.mark.slow
def test_a_real_job_in_a_process_of_its_own(job: Job) -> None:
    with Children(1) as children:
        found = children.run(job)
    assert 0 <= found.j <= 1
    assert found.box_j == pytest.approx(np.pi / 4, abs=0.02)  # a disc in its box
    assert min(found.train_seconds, found.predict_seconds) > 0
    assert found.loss_bytes > 0


def test_the_oracle_learns_from_the_masks_and_is_scored_on_its_own(tmp_path: Path) -> None:
    clip = read_clip(write_clip(tmp_path / "clip"))
    told: list[tuple[int, int]] = []
    job = Job(clip, Recipe((*SMALL, *ORACLE), oracle=True), 0, "cpu")
    found = run_job(job, tmp_path / "session", lambda done, of: told.append((done, of)))
    assert len(list((tmp_path / "session" / "corrections").iterdir())) == 4
    assert found.j < 0.99  # two steps teach little: the corrections themselves would score 1
    assert told == [(1, 2), (2, 2), (1, 4), (2, 4), (3, 4), (4, 4)]


def test_weights_that_cannot_be_had_make_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskfree.model.initial.find_pretrained", lambda _: Pretrained())
    clip = read_clip(write_clip(tmp_path / "clip"))
    job = Job(clip, Recipe((*SMALL, "model.weights=some/hub")), 0, "cpu")
    with pytest.raises(InputError, match=r"some/hub cannot be had here\. Download it"):
        run_job(job, tmp_path / "session", lambda done, of: None)


def test_another_file_of_weights_is_another_job(tmp_path: Path) -> None:
    clip, weights = read_clip(write_clip(tmp_path / "clip")), tmp_path / "raft.pth"
    job = Job(clip, Recipe((*SMALL, f"temporal.flow_weights={weights}")), 0, "cpu")
    cache, names = Cache(tmp_path / "cache", "cpu"), set()
    for content in ("small", "large"):
        weights.write_text(content)
        names.add(cache._file(job))
    weights.unlink()
    weights.mkdir()
    (weights / "model.safetensors").write_text("small")
    names.add(cache._file(job))
    assert len(names) == 3


def test_a_clip_without_an_object_is_at_fault(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip")
    from maskfree.formats.indexed_png import encode_ids

    for path in (clip / "masks").iterdir():
        path.write_bytes(encode_ids(np.zeros((64, 64), np.uint8)))
    with pytest.raises(InputError, match=r"no mask holds an object\. Leave the clip out"):
        run_job(Job(read_clip(clip), Recipe(SMALL), 0, "cpu"), tmp_path / "session", print)


def test_what_a_job_is_called(tmp_path: Path) -> None:
    words = ("optimiser.steps=150", "sampling.clip_length=3", "temporal.num_neighbors=7")
    clip = clip_named("bear", tmp_path)
    assert str(Job(clip, Recipe(words, share=0.25), 2)) == (
        "bear, temporal.num_neighbors=7, boxes in 25%, seed 2"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("print(json.dumps({'input': 'No object.'})); sys.exit(2)", r"^No object\.$"),
        ("print(json.dumps({'fault': 'KeyError: 1 (a.py, line 2)'}))", r"^KeyError: 1 \(a\.py"),
        ("sys.exit('it fell')", r"^Its process ended with exit code 1: it fell$"),
        ("print('{')", r"^Its process ended with exit code 0: it said nothing$"),
        ("print(json.dumps({'result': {'j': 2}}))", r"^the job's process: j is 2\."),
        ("print(json.dumps({'result': []}))", r"expected a job's result as an object"),
    ],
)
def test_a_job_that_goes_wrong_says_why(job: Job, code: str, said: str) -> None:
    with Children(1, python(code)) as children, pytest.raises(JobFailed, match=said):
        children.run(job)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_job_that_the_system_ends_says_so(job: Job) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with Children(1, python(code)) as children, pytest.raises(JobFailed, match="memory runs out"):
        children.run(job)


def test_a_job_has_its_threads_and_its_code(job: Job) -> None:
    code = (
        "import os; wrong = f\"{os.environ['OMP_NUM_THREADS']} {asked['threads']}\"; "
        "print(json.dumps({'input': wrong + ' ' + asked['code']}))"
    )
    with (
        Children(2, python(code)) as children,
        pytest.raises(JobFailed, match=f"^2 2 {which_code.code_digest()}$"),
    ):
        children.run(job)


def test_code_that_changed_meanwhile_makes_no_result(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maskfree.ablation.child.code_digest", lambda: "older")
    with Children(1) as children, pytest.raises(JobFailed, match="files have changed meanwhile"):
        children.run(job)


def test_leaving_ends_the_jobs_at_work(job: Job) -> None:
    said: list[str] = []

    def run() -> None:
        try:
            children.run(job)
        except JobFailed as error:
            said.append(str(error))

    with Children(1, python("import time; time.sleep(600)")) as children:
        thread = threading.Thread(target=run)
        thread.start()
        while not children._at_work:
            time.sleep(0.01)
    thread.join(timeout=60)
    assert len(said) == 1
    with pytest.raises(JobFailed, match="stopped before it began"):
        children.run(job)


def test_a_result_survives_the_disk(job: Job, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", "cpu")
    assert cache.read(job) is None
    cache.write(job, RESULT)
    kept = cache.read(job)
    assert kept is not None
    assert kept.result == RESULT
    assert Cache(tmp_path / "cache", "cuda").read(job) is None
    other = Job(job.clip, Recipe(SMALL, share=0.5), 3, "cpu")
    assert cache.read(other) is None


# ---- the code


def test_what_a_job_runs_is_part_of_its_code_and_what_it_does_not_is_not() -> None:
    names = {path.name for path in which_code.code_files()}
    assert {"objective.py", "config.py", "temporal_knn.py", "predict.py", "job.py"} <= names
    assert {"trainer.py", "metrics.py", "nearest_cpu.py", "groups.py"} <= names
    assert not names & {"cli.py", "report.py", "plot.py", "differences.py", "scene.py", "coco.py"}


def test_imports_for_type_checkers_alone_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom c import d\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    import e\ndef f():\n    from g import h\n"
    )
    found = set(which_code._imports(path))
    assert found == {"a.b", "c", "c.d", "typing", "typing.TYPE_CHECKING", "g", "g.h"}


# ---- memory of the loss


def test_the_peak_counts_what_is_held_at_once() -> None:
    def kept() -> None:
        held = [torch.zeros(1000) for _ in range(3)]
        assert len(held) == 3

    def dropped() -> None:
        for _ in range(3):
            torch.zeros(1000)

    def seen_twice() -> None:
        whole = torch.zeros(1000)
        assert whole.view(10, 100).shape == (10, 100)

    assert peak_of(kept) == 12_000
    assert peak_of(dropped) == 4_000
    assert peak_of(seen_twice) == 4_000
    assert peak_of(lambda: None) == 0


def test_more_pairs_take_more_memory_and_no_tk_loss_takes_none() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    small = {"sampling.frame_area": 4096, "temporal.max_distance": 1000}

    def bytes_of(**settings: str) -> int:
        chosen = {f"temporal.{name}": value for name, value in settings.items()}
        return temporal_bytes(frames, 2, override(Config(), {**small, **chosen}), "cpu")

    neighbour, cyclic, dense = (bytes_of(tube=t) for t in ("neighbour", "cyclic", "dense"))
    assert 0 < neighbour < cyclic < dense
    assert bytes_of(method="flow") == 0
    assert temporal_bytes(frames[:1], 2, Config(), "cpu") == 0


# ---- what is generated


def test_a_generated_clip_follows_from_its_seed_and_its_masks_are_exact() -> None:
    from maskfree.ablation.scene import generate_clip
    from maskfree.config import AblationConfig

    config = AblationConfig(frames=6, width=96, height=64)
    frames, ids = generate_clip(1, config)
    again = generate_clip(1, config)
    assert (frames == again[0]).all() and (ids == again[1]).all()
    assert not (frames == generate_clip(2, config)[0]).all()
    assert frames.shape == (6, 64, 96, 3) and frames.dtype == np.uint8
    assert set(np.unique(ids)) <= {0, 1, 2, 3} and len(np.unique(ids)) > 2
    assert (ids[0] != ids[5]).any()
    assert generate_clip(0, AblationConfig(frames=3, width=96, height=64))[1].max() == 2


def test_colour_alone_does_not_tell_a_generated_object() -> None:
    """The best threshold on the distance to an object's mean colour finds no object."""
    from maskfree.ablation.scene import generate_clip
    from maskfree.config import AblationConfig
    from maskfree.metrics import region_similarity

    best = []
    for seed in range(3):
        frames, ids = generate_clip(seed, AblationConfig(frames=3))
        mask = ids[0] == 1
        distance = np.linalg.norm(frames[0] - frames[0][mask].mean(0), axis=-1)
        best.append(max(region_similarity(distance < cut, mask) for cut in range(10, 150, 5)))
    assert np.mean(best) < 0.5


def test_generated_clips_are_written_once(tmp_path: Path) -> None:
    from maskfree.ablation.scene import write_generated
    from maskfree.config import AblationConfig

    config = AblationConfig(frames=3, width=64, height=64)
    (place,) = write_generated(tmp_path, 1, config)
    assert read_clip(place).name == "generated-0"
    picture = place / "frames" / "00000.png"
    before = picture.stat().st_mtime_ns
    write_generated(tmp_path, 1, config)
    assert picture.stat().st_mtime_ns == before
    (place / "source.json").write_text("{")
    write_generated(tmp_path, 1, config)
    assert picture.stat().st_mtime_ns > before
    assert [path.name for path in tmp_path.iterdir()] == ["generated-0"]
    own = tmp_path / "own" / "generated-0"
    (own / "frames").mkdir(parents=True)
    with pytest.raises(InputError, match="generated-0 is to hold a clip that is made here, and"):
        write_generated(tmp_path / "own", 1, config)
    assert own.is_dir()


def test_a_result_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"^here: predict_seconds is nothing\. Run the job again"):
        JobResult.from_json({"j": 0.5, "f": 0.5, "box_j": 0.5, "train_seconds": 1}, "here")
