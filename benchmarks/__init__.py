"""Side by side with the peers: the same work, interleaved in one run, results compared. `python -m benchmarks`."""
