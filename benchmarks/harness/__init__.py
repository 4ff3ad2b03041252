"""What the benchmarks share: cases, a process for each system, and the floor of their time."""
