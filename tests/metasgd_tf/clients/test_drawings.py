"""The drawings that an export can be tried on."""

import numpy as np
import pytest
from PIL import Image

from metasgd_tf.clients import drawings
from trainers.errors import InputError


def test_support_and_queries_are_written(tmp_path):
    drawings.write(str(tmp_path))
    support = {path.name: len(list(path.iterdir())) for path in (tmp_path / "support").iterdir()}
    assert support == dict.fromkeys(drawings.SYMBOLS, 1)
    queries = sorted(path.name for path in (tmp_path / "query").iterdir())
    assert queries == sorted(f"{name}_{n}.png" for name in drawings.SYMBOLS for n in (1, 2, 3))
    for path in tmp_path.rglob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image)
            assert image.size == (105, 105)
        assert 0.01 < (pixels < 128).mean() < 0.2  # Thin strokes on much paper.
        edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        assert np.all(edge == 255)


@pytest.mark.parametrize("symbol", drawings.SYMBOLS)
def test_a_hand_shakes_by_its_seed(symbol):
    one, again, other = (np.asarray(drawings.draw(symbol, seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.01


def test_symbols_differ_more_than_their_drawings():
    """Blurred by a few pixels, for a stroke that is drawn beside another has nothing in common."""
    small = {
        symbol: [
            np.asarray(drawings.draw(symbol, seed).resize((14, 14), Image.Resampling.BOX), float)
            for seed in range(4)
        ]
        for symbol in drawings.SYMBOLS
    }

    def distance(one, other):
        return np.mean([np.abs(a - b).mean() for a in small[one] for b in small[other]])

    for symbol in small:
        own = distance(symbol, symbol)
        assert all(own < distance(symbol, other) for other in small if other != symbol)


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("kept", encoding="utf-8")
    with pytest.raises(InputError, match=r"write_examples=.*file: cannot be written"):
        drawings.write(str(tmp_path / "file"))
