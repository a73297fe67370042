"""The parts of `experiments.arrays`, one topic per file."""
