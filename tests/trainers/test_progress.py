"""The bar on a terminal and the plain lines elsewhere."""

import io
import re

import pytest

from trainers.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream, done, total, step):
    progress = Progress("run", done, total, stream)
    for number in range(done + step, total + 1, step):
        progress.update(number, {"loss": 1 / number, "mse": 2.0})
    progress.close()
    return stream.getvalue()


def test_a_terminal_gets_a_bar_with_rate_and_scores():
    text = shown(Terminal(), 0, 40, 10)
    last = text.rstrip().split("\r")[-1]
    assert "\n" not in text.rstrip()
    assert re.search(r"run: 100%.*40/40 .*it/s.*loss 0\.025, mse 2", last)


def test_a_bar_goes_on_where_training_does():
    text = shown(Terminal(), 30, 40, 5)
    assert "30/40" in text.split("\r")[1]
    assert "40/40" in text


def test_elsewhere_there_are_plain_lines():
    lines = shown(io.StringIO(), 0, 40, 10).splitlines()
    assert len(lines) == 4
    assert re.fullmatch(r"run: 40/40 \[\d+s<0s, [\d.e+]+it/s\] loss 0\.025, mse 2", lines[-1])


@pytest.mark.parametrize(
    ("done", "total", "step"), [(0, 60_000, 100), (0, 1000, 1), (500, 1003, 1)]
)
def test_there_are_at_most_about_twenty_lines(done, total, step):
    lines = shown(io.StringIO(), done, total, step).splitlines()
    share = (total - done) / total
    assert 20 * share - 1 <= len(lines) <= 21
    assert f"{total}/{total}" in lines[-1]


def test_time_left_follows_from_the_rate(monkeypatch):
    clock = iter([100.0, 110.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    stream = io.StringIO()
    Progress("run", 50, 200, stream).update(100, {"loss": 0.5})
    assert stream.getvalue() == "run: 100/200 [10s<20s, 5it/s] loss 0.5\n"


class Closed(io.StringIO):
    """A stream whose reader has gone."""

    def __init__(self, terminal):
        super().__init__()
        self._terminal, self.gone = terminal, False

    def isatty(self):
        return self._terminal

    def write(self, text):
        if self.gone:
            raise BrokenPipeError
        return super().write(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_nobody_who_looks_is_no_reason_to_end(terminal):
    stream = Closed(terminal)
    progress = Progress("run", 0, 40, stream)
    progress.update(10, {"loss": 0.5})
    seen, stream.gone = stream.getvalue(), True
    progress.update(30, {"loss": 0.25})
    stream.gone = False
    progress.update(40, {"loss": 0.125})
    progress.close()
    assert seen and "40/40" in stream.getvalue()
