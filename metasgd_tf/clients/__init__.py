"""What an export is used by, through its public signatures alone."""
