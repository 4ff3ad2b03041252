"""The command-line flags of a run."""
