"""What TensorFlow and Keras are told before they are imported."""

import os

from metasgd_tf.process_environment import prepare_process


def test_what_the_commands_depend_on_is_set_whatever_was_there(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    prepare_process()
    assert os.environ["KERAS_BACKEND"] == "tensorflow"
    assert os.environ["TF_USE_LEGACY_KERAS"] == "1"


def test_onednn_is_asked_for_unless_the_user_has_decided(monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS")
    prepare_process()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    prepare_process()
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "0"
