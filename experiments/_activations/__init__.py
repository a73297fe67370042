"""The parts of `experiments.activations`: the notebook's list."""
