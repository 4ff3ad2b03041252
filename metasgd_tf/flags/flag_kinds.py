"""Kinds of flags that check their values."""

import math

from absl import flags

MAX_SEED = 2**31 - 1


def integer(
    name: str,
    default: int | None,
    least: int,
    text: str,
    values: flags.FlagValues,
    most: int | None = None,
) -> None:
    """Defines an integer flag that is at least `least` and, if given, at most `most`."""
    flags.DEFINE_integer(
        name, default, text, lower_bound=least, upper_bound=most, flag_values=values
    )


def fraction(name: str, default: float | None, text: str, values: flags.FlagValues) -> None:
    """Defines a float flag between 0 and 1, or None."""
    flags.DEFINE_float(name, default, text, lower_bound=0.0, upper_bound=1.0, flag_values=values)
    _refuse_infinite(name, values)


def finite_float(name: str, default: float | None, text: str, values: flags.FlagValues) -> None:
    """Defines a float flag that is finite, or None."""
    flags.DEFINE_float(name, default, text, flag_values=values)
    _refuse_infinite(name, values)


def positive_float(name: str, default: float | None, text: str, values: flags.FlagValues) -> None:
    """Defines a float flag that is finite and above 0, or None."""
    flags.DEFINE_float(name, default, text, flag_values=values)
    flags.register_validator(
        name,
        lambda value: value is None or 0 < value < float("inf"),
        "should be a positive number",
        flag_values=values,
    )


def _refuse_infinite(name: str, values: flags.FlagValues) -> None:
    flags.register_validator(
        name,
        lambda value: value is None or math.isfinite(value),
        "should be a finite number",
        flag_values=values,
    )
