"""Meta-training and evaluation of policies (Algorithm 2)."""
