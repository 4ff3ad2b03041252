"""The environments in which policies act."""
