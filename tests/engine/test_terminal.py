from __future__ import annotations

import io
import sys

import pytest

from maskfree import terminal
from maskfree.terminal import ProgressBar, clock, one_line, printable, say, table, use_utf8


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0:00"), (-3, "0:00"), (59.6, "1:00"), (61, "1:01"), (3600, "1:00:00"), (3725, "1:02:05")],
)
def test_clock(seconds: float, expected: str) -> None:
    assert clock(seconds) == expected


def test_one_line() -> None:
    assert one_line("a\n  b\r\n\tc ") == "a b c"


def test_say(capsys: pytest.CaptureFixture[str]) -> None:
    say("error", "what\nis wrong")
    say("", "stopped")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "maskfree: error: what is wrong\nmaskfree: stopped\n")


def test_table_aligns_numbers_to_the_right() -> None:
    text = table(["id", "label"], [[7, "a"], [112, "long one"]])
    assert text.splitlines() == [" id  label", "  7  a", "112  long one"]


def test_where_there_is_no_terminal_a_line_comes_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with ProgressBar("fine-tuning", "step") as bar:
        for step in range(1, 9):
            bar.update(step, 8, seconds_left=8 - step, note="loss 1.5")
            now[0] += 4
    assert capsys.readouterr().err.splitlines() == [
        "maskfree: fine-tuning: step 1/8, loss 1.5, 0:07 left",
        "maskfree: fine-tuning: step 4/8, loss 1.5, 0:04 left",
        "maskfree: fine-tuning: step 7/8, loss 1.5, 0:01 left",
        "maskfree: fine-tuning: step 8/8, loss 1.5, 0:00 left",
    ]


def test_what_comes_before_is_told_once_it_takes_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with ProgressBar("fine-tuning", "step") as bar:
        for done in range(6):
            bar.prepare("colours", done, 5)
            now[0] += 4
        bar.update(1, 8, seconds_left=7)
        now[0] += 10
        bar.update(2, 8, seconds_left=6)
    assert capsys.readouterr().err.splitlines() == [
        "maskfree: fine-tuning: colours 3/5",
        "maskfree: fine-tuning: step 1/8, 0:07 left",
        "maskfree: fine-tuning: step 2/8, 0:06 left",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_it_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with ProgressBar("predicting", "frame") as bar:
        bar.prepare("colours", 2, 5)
        bar.update(1, 2, seconds_left=61, note="loss 2.5")
        bar.update(2, 2, seconds_left=0)
    states = [state.strip() for state in screen.getvalue().split("\r") if state.strip()]
    assert states[0] == "predicting (getting ready)"
    assert states[1] == "predicting: colours 2/5"
    assert "50%|" in states[2]
    assert "1/2 [" in states[2]
    assert "loss 2.5, 1:01 left" in states[2]
    assert "100%|" in states[-1]


def test_a_bar_that_failed_leaves_no_half_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with pytest.raises(ValueError, match="broken"), ProgressBar("predicting", "frame"):
        raise ValueError("broken")
    assert screen.getvalue().rsplit("\r", 1)[-1] == "", "the cursor is where the bar began"
    assert "\n" not in screen.getvalue()


def test_other_encodings_become_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="cp1252"))
    use_utf8()
    print("Kälte → \udcff")
    sys.stdout.flush()
    assert raw.getvalue().splitlines() == ["Kälte → \\udcff".encode()]


def test_control_characters_are_spelt_out(capsys: pytest.CaptureFixture[str]) -> None:
    label = "r\u001b[31m\u0007ö\n\ud800"
    assert printable(label) == r"r\x1b[31m\x07ö\n\ud800"
    assert table(["label"], [[label]]).splitlines()[1] == printable(label)
    say("error", "a\u001b b")
    assert capsys.readouterr().err == "maskfree: error: a\\x1b b\n"
