"""Drawings of single tasks, which TensorBoard and the figures show."""
