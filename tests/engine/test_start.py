from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from command_line import SMALL, Result
from maskfree import prepare
from maskfree.config import CorrectionsConfig, RestartConfig
from maskfree.consensus_memory import read_evidence
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.gold_scores import gold_frames
from maskfree.model.checkpoint import read_tensors
from maskfree.presets import preset
from maskfree.session import Session
from maskfree.start import asked_settings, plan_start, shortened
from maskfree.told_frames import told_frames, trained_frames
from training_run import go, last_run, losses_of, same, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config


@pytest.fixture(scope="module")
def config(small_config: Config) -> Config:
    return dataclasses.replace(
        small_config,
        corrections=CorrectionsConfig(share=1.0),
        restart=RestartConfig(steps=3, learning_rate=0.25),
    )


def correct(session: Session, frame: int, track_id: int = 1, *, gold: bool = False) -> None:
    boxes = session.boxes
    mask = np.zeros((boxes.height, boxes.width), bool)
    mask[10 + frame : 30 + frame, 10:40] = True
    session.corrections.write(frame, {track_id: Correction.whole(mask, gold=gold)})


def trained(session: Session, config: Config, **settings: Any) -> Session:
    list(go(session, config, **settings))
    return session


def test_after_a_correction_a_run_goes_on_from_the_one_before(
    small_session: Session, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = last_run(trained(small_session, config))
    assert first.start is None
    correct(small_session, 5)

    def never(*_: object, **__: object) -> None:
        pytest.fail("it was looked at already")

    monkeypatch.setattr(prepare, "followed_tube", never)
    monkeypatch.setattr(prepare, "collect_evidence", never)
    steps = list(go(small_session, config))
    run = last_run(small_session)
    assert (run.name, run.start, run.status) == ("0002", "0001", "done")
    assert [(p.step, p.steps) for p in steps] == [(1, 3), (2, 3), (3, 3)]
    assert run.config == shortened(config)
    assert run.config.optimiser.learning_rate == config.optimiser.learning_rate / 4
    assert any(losses["corrections"] > 0 for losses in losses_of(run))
    before, after = read_tensors(first.weights_path), read_tensors(run.weights_path)
    parameters = [k for k in before if "running" not in k and "tracked" not in k]
    moved = max(float((before[k] - after[k]).abs().max()) for k in parameters)
    assert 0 < moved < 0.1
    evidence = [read_evidence(each.memory_path) for each in (first, run)]
    np.testing.assert_array_equal(evidence[0], evidence[1])
    assert trained_frames(run) == {5}


def test_its_first_step_is_taken_with_the_weights_of_the_run_before(
    small_session: Session, config: Config
) -> None:
    still = dataclasses.replace(config, restart=RestartConfig(steps=1, learning_rate=1e-4))
    first = last_run(trained(small_session, still))
    correct(small_session, 5)
    run = last_run(trained(small_session, still))
    parameters = {
        key: value
        for key, value in read_tensors(first.weights_path).items()
        if "running" not in key and "tracked" not in key  # the norms saw other clips
    }
    assert run.start == first.name
    after = read_tensors(run.weights_path)
    for key, value in parameters.items():
        torch.testing.assert_close(after[key], value, rtol=0, atol=1e-6)


def test_a_third_run_goes_on_from_the_second(small_session: Session, config: Config) -> None:
    trained(small_session, config)
    correct(small_session, 5)
    trained(small_session, config)
    assert plan_start(small_session, config).run is None  # nothing new since
    correct(small_session, 7)
    trained(small_session, config)
    assert [run.start for run in small_session.runs()] == [None, "0001", "0002"]
    assert small_session.runs()[2].config == small_session.runs()[1].config
    assert trained_frames(last_run(small_session)) == {5, 7}


def test_what_was_asked_for_is_said_of_all_runs_that_went_on(
    small_session: Session, config: Config
) -> None:
    assert asked_settings(small_session) is None
    names: list[str] = []
    for made in (config, shortened(config), shortened(config)):
        run = small_session.new_run(made, seed=0, start=names[-1] if names else None)
        names.append(run.name)
        assert asked_settings(small_session) == config
    first, second, _ = small_session.runs()
    first.config_path.write_text("{")  # the preset is all that is left to go by
    told = asked_settings(small_session)
    usual = preset(config.preset).optimiser
    assert told is not None
    assert told.optimiser.steps == usual.steps
    assert shortened(told).optimiser.learning_rate == usual.learning_rate * 0.25
    assert told.sampling == config.sampling
    second.remove()  # as a person may, in the folder
    assert asked_settings(small_session) == told
    last_run(small_session).config_path.write_text("{")
    with pytest.raises(InputError, match=r"config\.json"):
        asked_settings(small_session)


@pytest.mark.parametrize(
    "change",
    ["nothing", "gold", "settings", "steps", "boxes", "track", "label", "stopped", "earlier"],
)
def test_it_begins_afresh_where_more_or_less_than_corrections_is_new(
    small_session: Session, config: Config, settings_of: Callable[..., Config], change: str
) -> None:
    now = config
    trained(small_session, config)
    run = last_run(small_session)
    if change not in ("nothing", "gold"):
        correct(small_session, 5)
    boxes = small_session.boxes
    track, *others = boxes.tracks
    if change == "gold":
        correct(small_session, 5, gold=True)
    elif change == "settings":
        now = settings_of(config, "objective", outside_weight=0.3)
    elif change == "steps":
        now = settings_of(config, "optimiser", steps=9)
    elif change == "boxes":
        small_session.save_boxes(
            dataclasses.replace(
                boxes,
                tracks=(dataclasses.replace(track, keyframes=track.keyframes[:-1]), *others),
            )
        )
    elif change == "track":
        small_session.save_boxes(dataclasses.replace(boxes, tracks=tuple(others)))
    elif change == "label":
        small_session.save_boxes(
            dataclasses.replace(boxes, tracks=(dataclasses.replace(track, label="new"), *others))
        )
    elif change == "stopped":
        run.append({"status": "stopped", "step": 2, "message": ""})
    elif change == "earlier":  # a version that did not note what it had learnt from
        (run.path / "taught.sha256").unlink()
    found = plan_start(small_session, now)
    assert (found.run, found.config) == (None, now)


def test_fresh_and_last_are_a_persons_word(
    small_session: Session, config: Config, settings_of: Callable[..., Config]
) -> None:
    trained(small_session, config)
    correct(small_session, 5)
    assert plan_start(small_session, config, "fresh").run is None
    other = settings_of(config, "objective", outside_weight=0.3)
    found = plan_start(small_session, other, "last")
    assert found.run is not None
    assert found.run.name == "0001"
    assert found.config == shortened(other)
    trained(small_session, config, start="fresh")
    assert last_run(small_session).start is None
    assert len(steps_of(last_run(small_session))) == 4


def test_what_a_run_takes_over(
    small_session: Session, config: Config, settings_of: Callable[..., Config]
) -> None:
    fresh = plan_start(small_session, config)
    assert (fresh.seen, fresh.tubes(), fresh.evidence()) == (None, None, None)
    run = last_run(trained(small_session, config))
    found = plan_start(small_session, config, "last")
    tubes, evidence = found.tubes(), found.evidence()
    assert tubes is not None
    assert evidence is not None
    assert all(tubes.knows(track, 12) for track in small_session.boxes.tracks)
    np.testing.assert_array_equal(np.asarray(evidence), read_evidence(run.memory_path))
    for section, value in (
        ("sampling", {"object_size": 16.0}),
        ("evidence", {"cell": 4}),
        ("follow", {"most_gap": 3}),
    ):
        other = plan_start(small_session, settings_of(config, section, **value), "last")
        assert other.run is not None
        assert (other.seen, other.tubes(), other.evidence()) == (None, None, None)
    run.memory_path.write_bytes(b"broken")
    assert found.evidence() is None
    assert found.tubes() is not None


def test_other_boxes_than_those_of_the_session(small_session: Session, config: Config) -> None:
    trained(small_session, config)
    correct(small_session, 5)
    boxes = small_session.boxes
    assert plan_start(small_session, config, boxes=boxes).run is not None
    track, *others = boxes.tracks
    moved = dataclasses.replace(track, keyframes=track.keyframes[:-1])
    other = dataclasses.replace(boxes, tracks=(moved, *others))
    assert plan_start(small_session, config, boxes=other).run is None
    assert plan_start(small_session, config, "last", boxes=other).run is not None
    with pytest.raises(InputError, match="tracks or labels have changed"):
        plan_start(small_session, config, "last", boxes=dataclasses.replace(boxes, tracks=(track,)))


def test_why_a_run_cannot_go_on(
    small_session: Session, config: Config, settings_of: Callable[..., Config]
) -> None:
    def refused(now: Config, word: Any = "last") -> str:
        with pytest.raises(InputError) as caught:
            plan_start(small_session, now, word)
        return str(caught.value)

    path = small_session.path
    remedy = "Leave --start out, or begin with fresh weights: --start fresh"
    where = f"The next run of {path} cannot go on from the newest: "
    assert refused(config) == f"{where}there is no finished run. {remedy}"
    assert refused(config, "fersh") == (
        '--start must be one of auto, last, fresh, got "fersh". Did you mean "fresh"?'
    )
    trained(small_session, config)
    other = settings_of(config, "model", hidden_size=64)
    assert refused(other) == f"{where}run 0001 has another network. {remedy}"
    boxes = small_session.boxes
    small_session.save_boxes(dataclasses.replace(boxes, tracks=boxes.tracks[:1]))
    assert refused(config) == f"{where}tracks or labels have changed since run 0001. {remedy}"
    last_run(small_session).weights_path.with_suffix(".json").write_text("[]")
    assert refused(config) == f"{where}run 0001 does not say what its network is. {remedy}"


def test_what_a_network_began_with_makes_it_no_other(
    small_session: Session, config: Config, settings_of: Callable[..., Config]
) -> None:
    run = last_run(trained(small_session, config))
    begun = settings_of(config, "model", weights="somewhere.safetensors")
    text = run.config_path.read_text().replace('"weights": ""', '"weights": "somewhere"')
    run.config_path.write_text(text)
    assert run.config.model.weights == "somewhere"
    found = plan_start(small_session, settings_of(config, "model", frozen_norms=True), "last").run
    assert found is not None
    assert found.name == run.name
    with pytest.raises(InputError, match=r"is to begin with the weights of somewhere\.safetensors"):
        plan_start(small_session, begun, "last")
    correct(small_session, 5)
    goes_on = plan_start(small_session, config)  # weights are not named again
    assert goes_on.run is not None
    assert goes_on.config.model.weights == "somewhere"
    assert plan_start(small_session, begun).run is None  # others are: it begins with those


def test_a_run_that_went_on_is_resumed_as_if_it_had_not_stopped(
    small_session: Session, config: Config
) -> None:
    trained(small_session, config)
    correct(small_session, 5)
    for progress in go(small_session, config):
        if progress.step == 2:
            break
    run = last_run(small_session)
    assert (run.start, run.status) == ("0001", "stopped")
    rest = list(go(small_session, config, resume=True))
    assert [p.step for p in rest] == [3]
    resumed = read_tensors(run.weights_path)
    # the same again in one go
    trained(small_session, config, start="fresh")
    small_session.corrections.write(5, {})
    first = small_session.runs()[0]
    for other in small_session.runs()[1:]:
        other.remove()
    correct(small_session, 5)
    whole = last_run(trained(small_session, config))
    assert whole.start == first.name
    assert same(resumed, read_tensors(whole.weights_path))


def test_what_it_was_told_is_no_test_of_it(small_session: Session, config: Config) -> None:
    """Gold of a frame that an ancestor learnt from is no gold for its descendants."""
    trained(small_session, config)
    correct(small_session, 5)
    trained(small_session, config)
    correct(small_session, 5, gold=True)
    correct(small_session, 7)
    trained(small_session, config)
    run = last_run(small_session)
    assert run.start == "0002"
    assert gold_frames(small_session.corrections.read_all()) == [5]
    assert trained_frames(run) == {5, 7}
    assert told_frames(run) is None or 5 in (told_frames(run) or ())


def test_on_the_command_line(
    cli: Callable[..., Result], refuses: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    assert "has no run to go on from" in refuses(*new, "--start", "last")
    assert not folder.exists()
    assert cli(*new, "--steps", 2, *SMALL, "--json").json["start"] is None
    session = Session.open(folder)
    correct(session, 5)
    again = ("finetune", "--session", folder, "--steps", 2, *SMALL, "restart.steps=1")
    told = cli(*again, "--start", "last", "--json").json
    assert (told["start"], told["run"], told["steps"]) == ("0001", "0002", 1)
    correct(session, 6)
    said = cli(*again)
    assert said.out.startswith("run 0003 done: 1 steps, from run 0002, loss ")
    assert "has another network" in refuses(
        *again, "--start", "last", "--set", "model.hidden_size=32"
    )
