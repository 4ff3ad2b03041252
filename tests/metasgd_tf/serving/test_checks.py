"""Requests that an export refuses, through both loaders, and that the next good one is answered."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from metasgd_tf.serving.checks import MAX_INNER_STEPS
from tests.serving_exports import WAYS, Loaded, Served, drawings

TARGETS = np.tile(np.arange(WAYS, dtype=np.int32), (2, 1))
SUPPORT, QUERY = drawings(0, 2, WAYS), drawings(1, 2, 3)
GOOD = {"support_inputs": SUPPORT, "support_targets": TARGETS, "query_inputs": QUERY}


def png(width=30, height=20):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def claiming(width, height):
    """A PNG of a few bytes that says it is that large."""
    return png()[:16] + struct.pack(">II", width, height) + png()[24:]


def jpeg_claiming(width, height):
    file = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(file, "JPEG")
    data = file.getvalue()
    # Behind the marker of the frame: its length, the bits of a number, height and width.
    place = data.index(b"\xff\xc0") + 5
    return data[:place] + struct.pack(">HH", height, width) + data[place + 4 :]


def gif():
    file = io.BytesIO()
    Image.new("P", (30, 20)).save(file, "GIF")
    return file.getvalue()


def files(*contents):
    return np.array([contents], object)


IMAGES = {
    "support_inputs": files(png(), png()),
    "support_targets": np.array([[0, 1]], np.int32),
    "query_inputs": files(png()),
}


def changed(name, value, place=(0, 1, 2, 3, 0)):
    array = GOOD[name].copy()
    array[place] = value
    return GOOD | {name: array}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


BAD = {
    "rank": (GOOD | {"support_inputs": SUPPORT[0]}, r"support_inputs: .*\[B, N, 28, 28, 1\].*5 28"),
    "rank of queries": (GOOD | {"query_inputs": QUERY[..., 0]}, r"query_inputs: .*\[B, M, 28, 28"),
    "rank of targets": (GOOD | {"support_targets": TARGETS[0]}, r"support_targets: .*\[B, N\]"),
    "a scalar": (GOOD | {"support_targets": np.int32(1)}, r"support_targets: .*\[B, N\]"),
    "size": (GOOD | {"support_inputs": SUPPORT[:, :, :27]}, "support_inputs: should be of shape"),
    "no support": (
        GOOD | {"support_inputs": SUPPORT[:, :0], "support_targets": TARGETS[:, :0]},
        "support_inputs: holds nothing",
    ),
    "no queries": (GOOD | {"query_inputs": QUERY[:, :0]}, "query_inputs: holds nothing"),
    "no tasks": ({key: value[:0] for key, value in GOOD.items()}, "support_inputs: holds nothing"),
    "class too high": (GOOD | {"support_targets": TARGETS + 1}, r"from 0 to 4, not\] \[5\]"),
    "class below 0": (GOOD | {"support_targets": TARGETS - 1}, r"from 0 to 4, not\] \[-1\]"),
    "NaN": (changed("support_inputs", np.nan), "support_inputs: holds NaN or infinity"),
    "infinity": (changed("query_inputs", np.inf), "query_inputs: holds NaN or infinity"),
    "minus infinity": (changed("support_inputs", -np.inf), "support_inputs: holds NaN"),
    "fewer targets": (GOOD | {"support_targets": TARGETS[:, :3]}, "one for each of support_inputs"),
    "other tasks": (GOOD | {"query_inputs": QUERY[:1]}, "as many tasks as support_inputs"),
}


@pytest.fixture(scope="module", params=(Loaded, Served))
def ask(request, served):
    return served(request.param, "transductive")


def assert_refused(ask, signature, request, message, good=GOOD, good_signature="serving_default"):
    before = ask(good_signature, **good)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        ask(signature, **request)
    after = ask(good_signature, **good)
    np.testing.assert_array_equal(after["probabilities"], before["probabilities"])
    assert np.all(np.isfinite(after["probabilities"]))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_is_refused_with_a_sentence(ask, name):
    assert_refused(ask, "serving_default", *BAD[name])
    request, message = BAD[name]
    if message.startswith(("support", "from", "one")):
        support = {key: value for key, value in request.items() if key != "query_inputs"}
        assert_refused(ask, "adapt", support, message)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (-1, r"from 0 to 100, not\] \[-1\]"),
        (MAX_INNER_STEPS + 1, r"\[101\]"),
        (2**31 - 1, "from 0 to 100"),
        ([1, 2], "should be one number"),
    ],
)
def test_steps_that_are_no_number_of_steps_are_refused(ask, steps, message):
    request = GOOD | {"inner_steps": np.array(steps, np.int32)}
    assert_refused(ask, "serving_default_steps", request, message)


def test_an_adaptation_that_leads_nowhere_is_refused(ask):
    request = GOOD | {"support_inputs": SUPPORT * np.float32(3e38)}
    assert_refused(ask, "serving_default", request, "not finite")
    # Nor does what it came to go out as a state.
    del request["query_inputs"]
    assert_refused(ask, "adapt", request, "not finite")


def test_a_state_that_is_none_is_refused(ask):
    (state,) = ask("adapt", **without("query_inputs")).values()
    assert_refused(ask, "predict", {"state": state[:, :-1], "query_inputs": QUERY}, "state: should")
    assert_refused(ask, "predict", {"state": state[0], "query_inputs": QUERY}, "state: should")
    assert_refused(ask, "predict", {"state": state[:1], "query_inputs": QUERY}, "tasks as state")
    request = {"state": np.full_like(state, np.nan), "query_inputs": QUERY}
    assert_refused(ask, "predict", request, "state: holds NaN")
    request = {"state": np.zeros_like(state), "query_inputs": QUERY}
    assert_refused(ask, "predict", request, "state: is of a task without classes")


BAD_IMAGES = {
    "no image": (b"nothing of the kind", "no PNG or JPEG"),
    "empty": (b"", "no PNG or JPEG"),
    "a header alone": (png()[:16], "no PNG or JPEG"),
    "another format": (gif(), "no PNG or JPEG"),
    "cut": (png()[:60], "PNG"),
    # By their headers: decoded, they would be 1.2 GB, or damaged.
    "large": (claiming(20_000, 20_000), r"more than 67,108,864 pixels.*20000"),
    "larger": (claiming(2**32 - 1, 2**32 - 1), "more than 67,108,864 pixels"),
    "a large JPEG": (jpeg_claiming(20_000, 20_000), r"more than 67,108,864 pixels.*20000"),
    "long": (claiming(2**30, 1), "smaller than 8 × 8"),
    "tiny": (png(7, 30), "smaller than 8 × 8"),
}


@pytest.mark.parametrize("place", ["support_inputs", "query_inputs"])
@pytest.mark.parametrize("name", BAD_IMAGES)
def test_bytes_that_are_no_usable_image_are_refused(ask, name, place):
    data, message = BAD_IMAGES[name]
    request = IMAGES | {place: files(*[data] * IMAGES[place].size)}
    assert_refused(ask, "classify_images", request, message, IMAGES, "classify_images")


def test_requests_for_images_are_checked_like_others(ask):
    for change, message in (
        ({"support_targets": np.array([[0, 5]], np.int32)}, r"from 0 to 4"),
        ({"support_targets": np.array([[0]], np.int32)}, "one for each of support_inputs"),
        ({"query_inputs": files(png())[0]}, r"query_inputs: should be of shape \[B, M\]"),
        ({"query_inputs": np.array([[png()], [png()]], object)}, "as many tasks"),
        ({"support_inputs": np.zeros([1, 0], object)}, "support_inputs: holds nothing"),
    ):
        request = IMAGES | change
        assert_refused(ask, "classify_images", request, message, IMAGES, "classify_images")


def test_regression_refuses_targets_that_are_no_numbers(served):
    x = np.zeros([1, 3, 1], np.float32)
    for loader in (Loaded, Served):
        ask = served(loader, "sinusoid")
        for targets, message in (
            (x[..., 0], r"support_targets: .*\[B, N, 1\]"),
            (x + np.nan, "support_targets: holds NaN"),
            (x[:, :2], "one for each of support_inputs"),
        ):
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                ask("serving_default", support_inputs=x, support_targets=targets, query_inputs=x)
        good = ask("serving_default", support_inputs=x, support_targets=x, query_inputs=x)
        assert np.all(np.isfinite(good["predictions"]))
