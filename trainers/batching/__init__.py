"""The tasks of a meta-batch as one batch of each operation."""
