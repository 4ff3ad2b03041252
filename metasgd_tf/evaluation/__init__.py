"""Trained runs on tasks that they have not seen: accuracies, comparisons, confusion matrices."""
