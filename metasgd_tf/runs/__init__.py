"""Runs: training, evaluation, comparison and what TensorBoard shows of them."""
