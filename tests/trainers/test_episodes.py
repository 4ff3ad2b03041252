"""How many tasks a protocol scores."""

import pytest

from trainers.episodes import Protocol


@pytest.mark.parametrize(
    ("protocol", "unadapted", "adapted"),
    [
        (Protocol(1, 600, 1, 100), 100, 600),
        # There are no more tasks than there are.
        (Protocol(1, 50, 1, 100), 50, 50),
        (Protocol(5, 100, 100), 100, 100),
    ],
)
def test_fewer_tasks_are_scored_before_adaptation_than_after(protocol, unadapted, adapted):
    assert protocol.scored(0) == unadapted
    assert [protocol.scored(step) for step in (1, 3)] == [adapted, adapted]
