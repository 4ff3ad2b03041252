"""Every public layer of Keras: its meta-gradient, and training with it.

The meta-gradients by θ and by α of a small network around each layer are compared with central
differences, in float64 where the layer computes in it; in a graph, as training computes them, but
for those of `LIKE_OTHERS`. Training is of networks that have several layers side by side, as one
network for each takes minutes. `benchmarks.layers` trains each layer on its own in each way of
running; its results are in docs/results/layers.json.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.layers.case import (
    DIFFERENCES,
    checkable,
    episode,
    of,
    precision,
    slopes,
    trainer_of,
)
from benchmarks.layers.table import CASES, GROUPS, NOT_IN_A_NETWORK, class_of
from trainers.errors import InputError
from trainers.stateless.tested_layers import TESTED
from trainers.supervised.gradient_check import GradientCheck
from trainers.supervised.meta_batch import WAYS

# Long to trace, or made of what other layers of their group are made of.
LIKE_OTHERS = {
    *(name for name in CASES if name.endswith(("1D", "3D"))),
    *("SimpleRNNCell", "GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "StackedRNNCells"),
    *("Bidirectional", "ConvLSTM2D", "MelSpectrogram"),
    *("AugMix", "RandAugment", "RandomPerspective", "RandomShear", "RandomZoom"),
    *("RandomHue", "RandomColorJitter", "RandomElasticTransform"),
    "RandomCrop",  # A graph of it computes some of it in float32.
}
SLOW = LIKE_OTHERS | GROUPS["images"].keys() | GROUPS["preprocessing"].keys()
COMPILED = {
    "several": [
        *("Dense", "Activation", "PReLU", "BatchNormalization", "Attention", "Masking"),
        *("Conv2D", "BatchNormalization of images"),
    ],
    "spectral": ["SpectralNormalization"],
}
RIGHT = [name for name, case in CASES.items() if not case.wrong]


def trained(cases, jit_compile=None, **options):
    made = trainer_of(cases, jit_compile, alpha="scalar", **options)
    # Else the meta-gradient would be checked again, as some layers are known to be wrong.
    made._check = GradientCheck(False, np.inf, {})
    assert np.isfinite(made.train(2)["loss"])
    for variable in made.learner.meta_variables:
        assert np.all(np.isfinite(variable.numpy()))
    return made


def test_the_table_has_every_public_layer_once():
    public = {kind.__name__ for kind in vars(keras.layers).values() if isinstance(kind, type)}
    assert {class_of(name) for name in CASES} | set(NOT_IN_A_NETWORK) == public
    assert not {class_of(name) for name in CASES} & set(NOT_IN_A_NETWORK)
    assert len(CASES) == sum(len(group) for group in GROUPS.values())


def test_the_layers_that_pass_are_known_to_the_library():
    wrong = {class_of(name) for name, case in CASES.items() if case.wrong}
    assert {class_of(name) for name in RIGHT} - wrong == TESTED


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in RIGHT],
)
def test_the_meta_gradient_equals_central_differences(name):
    case = CASES[name]
    _, rtol, atol = DIFFERENCES[case.floatx]
    for found, expected in slopes(case, traced=name not in LIKE_OTHERS):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.wrong and n not in LIKE_OTHERS])
def test_the_meta_gradient_of_a_wrong_layer_is_wrong_indeed(name):
    case = checkable(CASES[name])
    _, rtol, atol = DIFFERENCES[case.floatx]
    try:
        pairs = slopes(case)
    except InputError as error:
        assert "the loss does not depend on the weight" in str(error)
        return
    assert not all(np.isclose(*pair, rtol=rtol, atol=atol) for pair in pairs)


def test_a_network_of_layers_whose_meta_gradient_is_wrong_trains():
    cases = [case for name, case in CASES.items() if case.wrong and name not in LIKE_OTHERS]
    assert trained(cases, jit_compile=False).way == WAYS[-1]


@pytest.mark.slow
@pytest.mark.parametrize("names", COMPILED.values(), ids=COMPILED)
def test_compiled_training_does_what_uncompiled_training_does(names):
    cases = [CASES[name] for name in names]
    compiled, uncompiled = trained(cases, True), trained(cases, False)
    assert compiled.way in WAYS[:-1]
    for a, b in zip(
        compiled.learner.meta_variables, uncompiled.learner.meta_variables, strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_models_of_other_precisions_train(policy):
    names = ["Dense", "MaxPooling2D", "BatchNormalization of images"]
    if policy == "mixed_bfloat16":
        names += ["Embedding", "LayerNormalization", "MultiHeadAttention", "Conv2D"]
    cases = [CASES[name] for name in names]
    with precision(policy):
        made = trained(cases, False)
        assert {variable.dtype for variable in made.learner.theta} == {keras.config.floatx()}
        task, learner = episode(cases), made.learner
        state = learner.adapt(task.support_inputs, task.support_targets)
        loss = learner.score(state, task.query_inputs, task.query_targets)[0]["loss"]
    assert loss.dtype == (tf.float64 if policy == "float64" else tf.float32)
    assert np.isfinite(loss)


def test_a_layer_without_second_derivative_is_refused_by_name():
    normalise = keras.layers.Lambda(tf.nn.local_response_normalization, name="lrn")
    case = of((3, 3, 2), lambda: normalise)
    with pytest.raises(InputError, match=r"^model=[^\n]*its layer lrn \(Lambda\)[^\n]*$"):
        trained([case], False)
    trained([case], False, first_order=True)
