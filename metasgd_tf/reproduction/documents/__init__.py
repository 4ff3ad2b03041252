"""The tables of README.md and docs/ that are not printed by a command, as Markdown."""
