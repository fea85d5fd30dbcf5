"""The benchmark against other implementations; started by scripts/benchmark.py."""
