"""Benchmarks of speed; none is a test. `make bench` runs them."""
