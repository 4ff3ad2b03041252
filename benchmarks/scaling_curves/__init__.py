"""Speed and memory of meta-training against the sizes of what is trained."""
