"""Calls are sized by the time that calls before took."""

import types

import pytest

from trainers.supervised import pace


@pytest.fixture
def call(monkeypatch):
    """A function that makes a call of so many iterations take so many seconds."""
    clock = [100.0]
    monkeypatch.setattr(pace, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))

    def call(made, iterations, seconds):
        with made.timed(iterations):
            clock[0] += seconds
        return made.burst

    return call


def test_the_first_call_is_one_iteration_and_tells_nothing(call):
    made = pace.Pace()
    assert made.burst == 1
    assert call(made, 1, 20.0) == 1
    assert call(made, 1, 0.5) == 2

    quick = pace.Pace()
    assert call(quick, 1, 1e-6) == 1


def test_it_grows_at_most_tenfold_and_settles_at_a_seconds_worth(call):
    made = pace.Pace()
    bursts = [call(made, made.burst, made.burst / 4096) for _ in range(7)]
    assert bursts == [1, 10, 100, 1000, 4096, 4096, 4096]


def test_a_slower_machine_gets_smaller_calls_at_once(call):
    made = pace.Pace()
    for _ in range(4):
        call(made, made.burst, made.burst / 1024)
    assert made.burst == 1000
    assert call(made, 1000, 8.0) == 125


@pytest.mark.parametrize("seconds", [1.5, 60.0, 1e6])
def test_it_never_falls_below_one(call, seconds):
    made = pace.Pace()
    assert [call(made, 1, seconds) for _ in range(3)] == [1, 1, 1]


def test_a_call_too_short_for_the_clock_grows_it_tenfold(call):
    made = pace.Pace()
    assert [call(made, made.burst, 0.0) for _ in range(3)] == [1, 10, 100]


def test_a_call_that_fails_is_not_counted(call):
    made = pace.Pace()
    with pytest.raises(RuntimeError), made.timed(1):
        raise RuntimeError
    assert call(made, 1, 1e-6) == 1  # Still the first.
