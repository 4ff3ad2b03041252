"""The meta-iteration as one XLA program: what it consists of and how long a GPU would take."""
