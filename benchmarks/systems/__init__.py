"""The implementations that are measured: each module offers `build(case) -> run(first, count)`."""
