"""Exceptions whose message is one sentence for the user."""


class InputError(ValueError):
    """An argument, a flag or data that cannot be used.

    The message names the argument (or flag), its value and what it should be. Commands print it
    without a traceback; library users may catch it as a `ValueError`.
    """

    ag_pass_through = True
    """AutoGraph would raise another exception in its place, with a trace in its message."""


class DivergedError(ArithmeticError):
    """Training computed a number that is not finite, and stopped before using it."""

    ag_pass_through = True


class LostWorkerError(RuntimeError):
    """Another worker of a training ended or could not be reached, so that this one cannot go on."""
