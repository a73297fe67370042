"""The parts of `experiments.arrays`: one subject a file."""
