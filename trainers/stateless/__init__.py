"""Keras models as pure functions of their weights, with exact second derivatives."""
