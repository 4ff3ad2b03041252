"""Image files: which there are, what is stored in them and how they are decoded."""
