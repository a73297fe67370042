"""PyTorch's loss functions, equal in value and gradient."""
