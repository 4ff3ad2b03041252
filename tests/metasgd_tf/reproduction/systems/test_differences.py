"""What becomes of differences to a reference that is evaluated again."""

import pytest

from metasgd_tf.reproduction.systems import running


@pytest.mark.parametrize("mean", [1.0, 2.0])
def test_differences_to_a_reference_that_changed_are_left_out(tmp_path, monkeypatch, mean):
    difference = {"difference": 0.5}
    before = [
        {"algorithm": "meta_sgd", "mean": 1.0, "reference_minus_this": None},
        {"algorithm": "maml", "mean": 0.5, "reference_minus_this": difference},
    ]
    again = [{"algorithm": "meta_sgd", "mean": mean, "reference_minus_this": None}]
    monkeypatch.setattr(running, "finished", lambda *_: {"5way1shot": before})
    monkeypatch.setattr(running, "_train", lambda *_: None)
    monkeypatch.setattr(running, "_rows", lambda *_: again)
    monkeypatch.setattr(running, "_write", lambda *_: None)
    table = running.reproduce(2, str(tmp_path), {"5way1shot": ["meta_sgd"]})
    rows = {row["algorithm"]: row for row in table["cells"]["5way1shot"]}
    assert rows["meta_sgd"]["mean"] == mean
    assert rows["maml"]["reference_minus_this"] == (difference if mean == 1.0 else None)
