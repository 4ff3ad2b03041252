"""The commands, and the paper's families of tasks."""
