"""What a command tells a person, and files written whole."""
