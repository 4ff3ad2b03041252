"""What a person runs: the commands, and the distributions over tasks of the paper."""
