"""The ports of `experiments/port.py`, their numbers, and PyTorch's records."""
