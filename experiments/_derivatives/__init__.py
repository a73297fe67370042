"""The parts of `experiments.derivatives`: calculus, and PyTorch's switches."""
