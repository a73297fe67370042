"""The parts of `experiments.explain`: the functions, and two NaNs."""
