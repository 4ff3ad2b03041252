"""Text for the user of a command, and files that are written atomically."""
