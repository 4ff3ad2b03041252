"""Finds the fastest way of running a program that works for a model.

XLA and `tf.vectorized_map` make small models an order of magnitude faster and cannot do every
operation. What they refuse is run in the next way, and what no way can do is refused in one
sentence.
"""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import keras
import tensorflow as tf

from trainers.errors import InputError

Result = TypeVar("Result")

log = logging.getLogger("trainers")
"""Where one line is logged when a model is not run in the fastest way."""


def first_that_works(
    ways: Mapping[str, Callable[[], Result]],
    model: keras.Model,
    what: str,
    blame: Callable[[], str | None] = lambda: None,
) -> tuple[str, Result]:
    """Tries ways of running a program until one works.

    Args:
      ways: by a name that completes "is run …", functions that build and run it; the fastest first.
      model: the model that it calls.
      what: the program's name in the log, such as "training".
      blame: asked for the layer at fault where no way works, and the error names none.

    Returns:
      The name of the way, and what its function returned.

    Raises:
      InputError: if no way works; the layer is named where the error tells it. One that a function
        raises is passed on at once, as it is about the request and not about the way.
    """
    for name, run in ways.items():
        try:
            with _quiet():
                result = run()
        except (InputError, KeyboardInterrupt):
            raise
        except Exception as error:
            # What a way cannot do it says by whatever its parts raise.
            last = error
            log.debug("%s cannot be run %s", what, name, exc_info=True)
            continue
        if name != next(iter(ways)):
            log.warning("%s is run %s, as this model allows no faster way", what, name)
        return name, result
    raise InputError(_refusal(last, model, blame)) from last


def compiled_where_possible(
    function: Callable[[], Result], model: keras.Model, what: str, *, jit_compile: bool
) -> Callable[[], Result]:
    """Makes a program of a function; XLA compiles it if asked to, and where it can.

    Args:
      function: of no arguments, in TensorFlow operations; not for AutoGraph.
      model: the model that it calls.
      what: the program's name in the log.
      jit_compile: whether to try XLA.

    Returns:
      The program. It may raise an `InputError` at its first call, see `first_that_works`.
    """
    programs = {"uncompiled": tf.function(function, autograph=False)}
    if jit_compile:
        programs = {
            "compiled": tf.function(function, autograph=False, jit_compile=True),
            **programs,
        }
    chosen: list[str] = []

    def run() -> Result:
        if chosen:
            return programs[chosen[0]]()
        name, result = first_that_works(programs, model, what)
        chosen.append(name)
        return result

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences TensorFlow's log while a way is tried that may fail."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _refusal(error: Exception, model: keras.Model, blame: Callable[[], str | None]) -> str:
    text = str(error)
    layer = layer_named_in(text, model) or blame()
    about = f"its layer {layer}" if layer else "what it does"
    missing = re.search(r"no entry for: (\w+)|op type: (\w+)", text)
    if missing:
        operation = next(group for group in missing.groups() if group)
        return (
            f"model={model.name!r}: {about} cannot be meta-trained, as TensorFlow has no second "
            f"derivative of the operation {operation}; use another layer, or first_order=True"
        )
    kind = type(error).__name__
    sentence = _reason(text).removeprefix(f"{kind}: ")
    return f"model={model.name!r}: {about} raises {kind} in meta-training ({sentence})"


def layer_named_in(text: str, model: keras.Model) -> str | None:
    """Returns the layer, with its class, that a message names in the path of an operation."""
    parts = set(re.findall(r"[\w.\-]+", text.replace("/", " ")))
    layers: list[Any] = model._flatten_layers(include_self=False)
    named = [layer for layer in layers if layer.name in parts]
    # The innermost layer is the one that a wrapper or a nested model hands its work to.
    return f"{named[-1].name} ({type(named[-1]).__name__})" if named else None


def _reason(text: str) -> str:
    """Returns the last line of a message; the lines before it are the trace.

    Keras lists the arguments of the call after that line, and has it in bold.
    """
    text = re.sub(r"\x1b\[\d*m", "", text.partition("Arguments received by")[0])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it gives no reason"
