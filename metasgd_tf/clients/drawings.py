"""Drawings to try an export on: five symbols, each drawn by a shaky hand.

Their form is Omniglot's, 105 × 105 pixels and black on white; none of them is from there, so that
they can be written out where no data set is.
"""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from trainers.errors import InputError

SIDE = 105
SUPPORT_SHOTS = 1
QUERIES = 3
_FINE = 4
"""Drawn at this multiple of the size and made small, which smooths the strokes."""


def _arc(x: float, y: float, radius: float, begin: float, end: float) -> np.ndarray:
    angles = np.radians(np.linspace(begin, end, 40))
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def _spiral() -> np.ndarray:
    turns = np.linspace(0, 5 * np.pi, 120)
    radius = 0.04 + 0.36 * turns / turns[-1]
    return np.stack([0.5 + radius * np.cos(turns), 0.5 + radius * np.sin(turns)], axis=1)


# Strokes in the unit square, from the upper left corner.
SYMBOLS: dict[str, list[Any]] = {
    "arrow": [[(0.15, 0.8), (0.85, 0.2)], [(0.5, 0.2), (0.85, 0.2), (0.85, 0.55)]],
    "house": [
        [(0.2, 0.5), (0.2, 0.85), (0.8, 0.85), (0.8, 0.5)],
        [(0.1, 0.55), (0.5, 0.12), (0.9, 0.55)],
    ],
    "ladder": [
        [(0.3, 0.1), (0.3, 0.9)],
        [(0.7, 0.1), (0.7, 0.9)],
        *[[(0.3, y), (0.7, y)] for y in (0.25, 0.5, 0.75)],
    ],
    "snail": [_spiral()],
    "umbrella": [
        _arc(0.5, 0.5, 0.38, 180, 360),
        [(0.12, 0.5), (0.88, 0.5)],
        [(0.5, 0.5), (0.5, 0.8)],
        _arc(0.42, 0.8, 0.08, 0, 180),
    ],
}


def draw(symbol: str, seed: int) -> Image.Image:
    """Draws a symbol.

    Args:
      symbol: one of `SYMBOLS`.
      seed: what the hand's shaking is drawn by.

    Returns:
      105 × 105 pixels, black on white.
    """
    return _small(_traced(strokes(symbol, seed), 3).filter(ImageFilter.GaussianBlur(_FINE / 2)))


def strokes(symbol: str, seed: int) -> list[np.ndarray]:
    """Returns the strokes of a shaky hand, [points, 2] each, in the unit square.

    Args:
      symbol: one of `SYMBOLS`.
      seed: what the hand's shaking is drawn by.
    """
    rng = np.random.default_rng([seed, *symbol.encode()])
    tilt = rng.normal(0, 0.08)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    form = turn * rng.normal(1, 0.07, [2, 1]) + rng.normal(0, 0.03, [2, 2])
    place = 0.5 + rng.normal(0, 0.03, 2)
    drawn = []
    for stroke in SYMBOLS[symbol]:
        corners = np.asarray(stroke, float)
        corners = corners + rng.normal(0, 0.015 if len(corners) < 10 else 0.002, corners.shape)
        drawn.append((corners - 0.5) @ form.T * 0.85 + place)
    return drawn


def inked(strokes: Sequence[np.ndarray], width: float) -> Image.Image:
    """Draws strokes with a round pen and sharp edges.

    Args:
      strokes: [points, 2] each, from the upper left corner of the unit square; a single point makes
        a dot.
      width: of the pen, in pixels.

    Returns:
      105 × 105 pixels, black on white.
    """
    return _small(_traced(strokes, width))


def _traced(strokes: Sequence[np.ndarray], width: float) -> Image.Image:
    image = Image.new("L", (SIDE * _FINE, SIDE * _FINE), 255)
    pen = ImageDraw.Draw(image)
    radius = width * _FINE / 2
    for stroke in strokes:
        points = stroke * SIDE * _FINE
        pen.line([tuple(point) for point in points], 0, round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], 0)
    return image


def _small(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def write(folder: str, seed: int = 0) -> None:
    """Writes `support/`, a sub-folder a symbol with one drawing, and `query/` with three of each.

    Args:
      folder: made where missing; drawings of the same names are replaced.
      seed: what the drawings are drawn by.

    Raises:
      InputError: if it cannot be written to.
    """
    root = pathlib.Path(folder)
    try:
        for symbol in SYMBOLS:
            for number in range(SUPPORT_SHOTS + QUERIES):
                path = root / "query" / f"{symbol}_{number}.png"
                if number < SUPPORT_SHOTS:
                    path = root / "support" / symbol / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                draw(symbol, seed + number).save(path)
    except OSError as error:
        raise InputError(
            f"write_examples={folder}: cannot be written to ({error.strerror}); name a folder "
            "that can"
        ) from error
