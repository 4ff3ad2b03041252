"""Benchmarks of this project, some of them against other implementations."""
