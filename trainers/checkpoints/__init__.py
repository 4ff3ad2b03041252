"""Checkpoints of a training: how they are saved, found and loaded."""
