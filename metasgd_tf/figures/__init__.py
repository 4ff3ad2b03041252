"""Figures of runs, for papers: learning curves, fits, α, updates and paths."""
