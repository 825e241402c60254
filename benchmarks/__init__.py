"""Benchmarks against other tools: the same work, interleaved in one run, results compared. `python -m benchmarks`."""
