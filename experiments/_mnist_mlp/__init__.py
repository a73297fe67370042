"""The parts of `experiments.mnist_mlp`."""
