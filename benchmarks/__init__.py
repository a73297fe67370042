"""Timings against PyTorch in the same run: `python -m benchmarks.NAME`."""
