"""Meta-training and evaluation on supervised tasks (Algorithm 1)."""
