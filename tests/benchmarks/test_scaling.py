"""The cost model of several devices, on numbers worked out by hand."""

import math

import pytest

from benchmarks.scaling import cost, prediction


def test_a_ring_sends_shares_and_trees_send_all_in_fewer_hops():
    # 8 MB at 1 GB/s by 4: 6 shares of 2 ms, or twice 8 ms; hops of 1 ms are 6, or 4.
    assert cost.all_reduce(8e6, 4, 1e9, hop=1e-3) == pytest.approx(6 * 3e-3)
    # Of next to nothing only the hops count.
    assert cost.all_reduce(1.0, 512, 1e9, hop=1e-3) == pytest.approx(18e-3, rel=1e-6)
    assert cost.all_reduce(8e6, 1, 1e9) == 0.0


def test_efficiency_is_the_share_of_computing():
    shape = cost.Shape("any", numbers=2_000_000, seconds=18e-3)
    sending = 6 * (2e-3 + cost.HOP)
    assert shape.bytes == 8_000_000
    assert cost.efficiency(shape, 4, 8e9) == pytest.approx(18e-3 / (18e-3 + sending))
    assert cost.efficiency(shape, 1, 8e9) == 1.0


def test_more_devices_and_slower_networks_never_help():
    shape = cost.Shape("any", numbers=225_930, seconds=1.9e-3)
    shares = [cost.efficiency(shape, 2**power, 1e10) for power in range(10)]
    assert shares == sorted(shares, reverse=True)
    assert cost.efficiency(shape, 8, 1e11) > cost.efficiency(shape, 8, 1e10)


def test_the_prediction_is_of_theta_and_alpha():
    omniglot, *_ = prediction.shapes()
    assert omniglot.numbers == 2 * 112_965
    table = prediction.predicted()
    assert len(table["rows"]) == 6
    ms = omniglot.seconds * 1e3
    sending = 1e3 * (omniglot.bytes / 1.25e9 + 2 * cost.HOP)
    row = next(row for row in table["rows"] if row[0] == omniglot.name and row[3] == "10")
    assert row[4] == f"{100 * ms / (ms + sending):.0f} %" and math.isclose(ms, float(row[2]))
