"""Exceptions whose message is one sentence for the person who asked."""


class InputError(ValueError):
    """A request that cannot be met as asked.

    The message names the argument (or flag), its value and what would be right. Commands print it
    without a traceback; library users may catch it as a `ValueError`.
    """


class DivergedError(ArithmeticError):
    """Training met a number that is not finite, and stopped before using it."""
