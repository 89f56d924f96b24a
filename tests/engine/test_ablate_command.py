"""`maskfree ablate` with a stand-in for its jobs: what is run, kept, said."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ablation_clips import Stand, write_clip
from maskfree.ablation.child import Children, JobFailed
from maskfree.ablation.plot import plot_compared
from maskfree.interrupts import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Result
    from maskfree.ablation.job import Job

RADIUS = ("--only", "radius", "--device", "cpu", "--seeds", "0", "1")
PLOT = "maskfree.ablation.command.plot_compared"
CODE = "maskfree.ablation.cache.code_digest"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        write_clip(tmp_path / "clips" / name)
    return tmp_path / "clips"


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Stand:
    """J 0.6, of R = 3 half of that, of R = 7 a little more in the one clip, less in the other."""

    def j(job: Job) -> float:
        if "temporal.search_radius=3" in job.recipe.settings:
            return 0.3 + 0.01 * job.seed
        if "temporal.search_radius=7" in job.recipe.settings:
            return 0.65 if job.clip.name == "a" else 0.55
        return 0.6

    made = Stand(j)
    monkeypatch.setattr(Children, "run", lambda self, job: made(job))
    monkeypatch.setattr(PLOT, lambda compared, path: None)  # it takes longer than all else
    return made


def test_the_page_and_the_numbers(
    cli: Callable[..., Result],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PLOT, plot_compared)
    found = cli("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--json").json
    assert len(stand.asked) == 3 * 2 * 2
    assert (found["done"], found["jobs"], found["failed"]) == (12, 12, 0)
    (group,) = found["groups"]
    reference, three, seven = group["rows"]
    assert reference["j"] == pytest.approx(0.6)
    assert reference["difference"] is None
    assert three["difference"]["mean"] == pytest.approx(-0.295)
    assert (three["difference"]["pairs"], three["difference"]["units"]) == (4, 2)
    assert [three["verdict"], seven["verdict"]] == ["agrees", "not told apart"]
    assert seven["by_clip"] == pytest.approx({"a": 0.65, "b": 0.55})
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    three_said = "| R = 3 | 0.305 | -0.295 | -0.295 | -0.295 to -0.295 | 0/2 | 60 | 4/4 |"
    assert f"{three_said} 0.305 | 0.305 | agrees |" in page
    assert "| R = 5 | 0.600 | – | – | – | – | 60 | 4/4 | 0.600 | 0.600 | – |" in page
    assert "\n![Differences and their intervals](ablation.png)\n" in page
    assert "- `temporal.weight=0.5`\n- `objective.temporal_mean=true`\n" in page
    assert (
        "maskfree ablate clips --out out --only radius --steps 150 --seeds 0 1 --device cpu\n"
        in page
    )
    assert "| a | 0.300 |\n| b | 0.300 |" in page
    assert "The paper: R = 5 is chosen" in page
    assert "**Not whole" not in page
    picture = (tmp_path / "out" / "ablation.png").read_bytes()
    assert picture.startswith(b"\x89PNG")


def test_the_base_can_be_changed(
    cli: Callable[..., Result],
    refuses: Callable[..., str],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
) -> None:
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--set")
    done = cli(*words, "temporal.weight=3", "temporal.search_radius=4", "--json").json
    assert done["base"]["temporal.weight"] == "3"
    asked = {
        tuple(word for word in job.recipe.settings if word.startswith("temporal"))
        for job in stand.asked
    }
    weight = "temporal.weight=3.0"
    assert asked == {  # what a row is about is left to it; 5 is the preset's own
        (weight,),
        ("temporal.search_radius=3", weight),
        ("temporal.search_radius=7", weight),
    }
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "--only radius --set temporal.weight=3 temporal.search_radius=4 --steps 150" in page
    assert "as `--set` says: `temporal.weight=3`, `temporal.search_radius=4`, where" in page
    assert "Give --steps 9." in refuses(*words, "optimiser.steps=9")
    assert 'Did you mean "temporal.weight"' in refuses(*words, "temporal.weigth=9")


def test_a_second_call_does_nothing_twice(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS)
    first = cli(*words)
    again = cli(*words)
    assert (first.code, again.code) == (0, 0)
    assert first.out == again.out
    assert len(stand.asked) == 12
    more = cli(*words[:-1], "2", "--json").json
    assert len(stand.asked) == 12 + 6  # seed 0 is there, seed 2 is new
    assert more["done"] == 12


def test_a_failed_job_is_said_and_tried_again(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    good = stand.j

    def fails(job: Job) -> float:
        if "temporal.search_radius=3" in job.recipe.settings and job.clip.name == "a":
            raise JobFailed("The loss is nan\nat step 3.")
        return float(good(job))

    stand.j = fails
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS)
    done = cli(*words)
    assert done.code == 0
    assert "- R = 3 failed: The loss is nan at step 3." in done.out
    assert "**Not whole: 10 of 12 jobs are finished**, 2 failed, 0 were not run." in done.out
    assert "| R = 3 | – | -0.295 | " in done.out
    assert " | 2/4 | – | 0.305 | not whole |" in done.out  # of one clip alone nothing follows
    stand.j = good
    stand.asked.clear()
    assert "**Not whole" not in cli(*words).out
    assert len(stand.asked) == 2


def test_stopped_it_goes_on_where_it_was(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    good = stand.j

    def stops(job: Job) -> float:
        if len(stand.asked) == 5:
            raise Interrupted(130)
        return float(good(job))

    stand.j = stops
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS)
    done = cli(*words)
    assert done.code == 130
    assert done.err.splitlines()[-1].startswith("maskfree: stopped; 4 of 12 jobs are finished")
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "**Not whole: 4 of 12 jobs are finished**, 0 failed, 8 were not run." in page
    stand.j = good
    stand.asked.clear()
    assert cli(*words).code == 0
    assert len(stand.asked) == 8


def test_the_report_alone_runs_nothing(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    done = cli("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--report")
    assert done.code == 0
    assert not stand.asked
    assert "| R = 5 | – | – | – | – | – | – | 0/4 | – | – | – |" in done.out
    assert "The results are of the commits (how many): –." in done.out


def test_results_of_other_code_count_only_where_that_is_asked_for(
    cli: Callable[..., Result],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--json")
    with monkeypatch.context() as before:
        before.setattr(CODE, lambda: "00000older000")
        before.setattr("maskfree.ablation.cache.commit", lambda: "abc1234")
        cli(*words)
    stand.asked.clear()
    taken = cli(*words, "--any-commit").json
    assert not stand.asked
    assert taken["commits"] == {"abc1234": 12}
    assert cli(*words, "--report").json["done"] == 0
    cli(*words)
    assert len(stand.asked) == 12


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "expected a result as an object"),
        ('{"job": 1, "result": {}}', "is that of another job"),
        (None, "j is 7"),
    ],
)
def test_a_damaged_result_is_said_and_run_again(
    cli: Callable[..., Result],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    content: str | None,
    said: str,
) -> None:
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS)
    cli(*words)
    damaged = min((tmp_path / "out" / "cache").iterdir())
    if content is None:
        known = json.loads(damaged.read_text())
        known["result"]["j"] = 7
        content = json.dumps(known)
    damaged.write_text(content)
    stand.asked.clear()
    done = cli(*words)
    assert done.code == 0
    (line,) = [line for line in done.err.splitlines() if "warning" in line]
    assert str(damaged) in line
    assert said in line
    assert line.endswith("It does not count.")
    assert len(stand.asked) == 1
    assert "warning" not in cli(*words).err


def test_without_matplotlib_the_page_is_written_all_the_same(
    cli: Callable[..., Result],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PLOT, plot_compared)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    done = cli("ablate", clips, "--out", tmp_path / "out", *RADIUS)
    assert done.code == 0
    assert "maskfree: warning: The picture needs matplotlib." in done.err
    assert "ablation.png" not in (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert not (tmp_path / "out" / "ablation.png").exists()


def test_what_else_is_compared_and_what_is_remarkable(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    def j(job: Job) -> float:
        if job.recipe.oracle:
            return 0.8
        if "temporal.method=none" in job.recipe.settings:
            return 0.5
        if "temporal.method=flow" in job.recipe.settings:
            return 0.52 + 0.01 * job.seed
        if job.recipe.share == 0.1:
            return 0.2  # below its boxes filled in
        return 0.6 if job.clip.name == "a" or job.recipe.share == 1 else 0.4

    stand.j = j
    words = ("ablate", clips, "--out", tmp_path / "out", "--device", "cpu", "--seeds", "0", "1")
    found = cli(*words, "--only", "method", "retention", "--json").json
    method, retention = found["groups"]
    (flow,) = method["beside"]
    assert (flow["name"], flow["other"], flow["verdict"]) == (
        "optical flow",
        "spatial only",
        "agrees",
    )
    assert flow["difference"]["mean"] == pytest.approx(0.025)
    said = [each["verdict"] for each in retention["beside"]]
    assert said == ["not told apart", "not told apart", "agrees"]
    assert {row["verdict"] for row in retention["rows"]} == {""}  # masks teach more: no claim
    kept = retention["rows"][1]["retention"]
    assert (kept["mean"], kept["low"], kept["high"]) == pytest.approx((0.75, 0.75, 0.75))
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "| optical flow beside spatial only | +0.025 | +0.025 | +0.025 to +0.025 | 2/2 |" in page
    assert "\n- boxes in 50% and boxes in 100%" not in page
    assert "\n- pairwise in 3D and TK-Loss have the very same J on a, b: the setting" in page
    assert "| 75.0% | 75.0% to 75.0% | 60 |" in page
    assert "| *0.200* | *0.200* | no claim |" in page


def test_memory_is_told_beside_the_first(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    words = ("ablate", clips, "--out", tmp_path / "out", "--device", "cpu", "--seeds", "0")
    stand.size = lambda job: (
        3_000_000 if "temporal.tube=dense" in job.recipe.settings else 2_000_000
    )
    found = cli(*words, "--only", "tube", "--json").json
    ratios = [row["loss_ratio"] for row in found["groups"][0]["rows"]]
    assert ratios == pytest.approx([1.0, 1.5, 1.0])
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert " | 3.0 | 1.50 | " in page


def test_reasons_stand_below_their_table(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    reasons = tmp_path / "why.toml"
    reasons.write_text('radius = """\nWith `R = 9`:\n\n| a | b |\n"""\npatch = "not asked"\n')
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--reasons", reasons, "--json")
    found = cli(*words).json
    assert found["reasons"]["radius"] == "With `R = 9`:\n\n| a | b |"
    assert found["command"].endswith(" --reasons why.toml")
    page = (tmp_path / "out" / "ablation.md").read_text(encoding="utf-8")
    assert "| not told apart |\n\nWith `R = 9`:\n\n| a | b |\n\n## How to read it" in page
    assert "not asked" not in page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "There is no file of reasons "),
        ('radios = "because"', 'There is no group "radios" of settings. Did you mean "radius"?'),
        ("radius = 3", 'should hold a text for "radius", as radius = "…".'),
        ('radius = "  "', 'should hold a text for "radius"'),
        ("radius because", "is not TOML ("),
        ("", "is empty."),
    ],
)
def test_reasons_that_cannot_be_read_are_said_before_anything_is_run(
    refuses: Callable[..., str],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    content: str | None,
    said: str,
) -> None:
    reasons = tmp_path / "why.toml"
    if content is not None:
        reasons.write_text(content)
    words = ("ablate", clips, "--out", tmp_path / "out", *RADIUS, "--reasons", reasons)
    assert said in refuses(*words)
    assert not stand.asked


def test_generated_clips_stand_beside_the_others(
    cli: Callable[..., Result], clips: Path, tmp_path: Path, stand: Stand
) -> None:
    words = ("ablate", clips, "--clips", "b", "--generated", "1", "--out", tmp_path / "out")
    found = cli(*words, *RADIUS, "--json").json
    assert list(found["clips"]) == ["b", "generated-0"]
    assert len(list((tmp_path / "out" / "generated" / "generated-0" / "masks").iterdir())) == 24
    assert re.search(r" --clips b .* --generated 1 --device cpu$", found["command"])
    assert cli(*words, *RADIUS, "--json").json == found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "maskfree ablate needs clips."),
        (("--clips", "a", "--generated", "1"), "--clips names clips of a folder."),
        (("{clips}", "--only", "radios"), 'There is no group "radios"'),
        (("{clips}", "--jobs", "0"), "--jobs must be 1 or more, got 0."),
        (("{clips}", "--steps", "0"), "steps must lie in 1 to inf steps, got 0."),
        (("{clips}", "--seeds", "-1"), "seeds must lie in 0 to inf"),
        (("{clips}", "--generated", "65"), "--generated must be 0 to 64 clips, got 65."),
        (("{clips}", "--clips", "c"), 'holds no clip "c"'),
        (("nowhere",), "There is no folder nowhere."),
    ],
)
def test_bad_input_is_one_line(
    refuses: Callable[..., str],
    clips: Path,
    tmp_path: Path,
    stand: Stand,
    words: tuple[str, ...],
    said: str,
) -> None:
    given: list[Any] = [word.format(clips=clips) for word in words]
    assert said in refuses("ablate", *given, "--out", tmp_path / "out", "--device", "cpu")
    assert not stand.asked
