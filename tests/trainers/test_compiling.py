"""Ways of running a program: which is taken, and what is said where none works."""

import logging

import keras
import pytest
import tensorflow as tf

from trainers.compiling import compiled_where_possible, first_that_works
from trainers.errors import InputError

MODEL = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="last")], name="small")


def fails(error):
    def run():
        raise error

    return run


def test_the_first_way_that_works_is_taken_and_a_slower_one_is_logged_in_one_line(caplog):
    ways = {"fast": fails(TypeError("variant\nis not\ncompatible")), "slow": lambda: 7}
    with caplog.at_level(logging.WARNING, logger="trainers"):
        assert first_that_works(ways, MODEL, "training") == ("slow", 7)
    assert caplog.messages == ["training is run slow, as this model allows no faster way"]
    caplog.clear()
    assert first_that_works({**ways, "fast": lambda: 1}, MODEL, "training") == ("fast", 1)
    assert not caplog.messages


def test_a_request_that_is_wrong_is_not_tried_in_another_way():
    tried = []
    ways = {"fast": fails(InputError("no")), "slow": lambda: tried.append(1)}
    with pytest.raises(InputError, match="^no$"):
        first_that_works(ways, MODEL, "training")
    assert not tried


def test_what_no_way_can_do_is_refused_in_a_sentence_that_names_the_layer():
    missing = LookupError("in\na trace\ngradient registry has no entry for: LRNGrad")
    with pytest.raises(InputError) as refused:
        first_that_works({"only": fails(missing)}, MODEL, "training", lambda: "lrn (Lambda)")
    assert str(refused.value) == (
        "model='small': its layer lrn (Lambda) cannot be meta-trained, as TensorFlow has no second "
        "derivative of the operation LRNGrad; use another layer, or first_order=True"
    )
    other = ValueError("in\n  a trace\nDetected at node small/last/Relu")
    with pytest.raises(InputError, match=r"its layer last \(Dense\) raises ValueError"):
        first_that_works({"only": fails(other)}, MODEL, "training")


def test_what_xla_cannot_compile_runs_uncompiled():
    def run():
        # XLA has no strings.
        return tf.cast(tf.strings.length("four"), tf.int64)

    program = compiled_where_possible(run, MODEL, "evaluation", jit_compile=True)
    assert int(program()) == int(program()) == 4
