"""The parts of `experiments.backprop`: layers, and one linear layer."""
