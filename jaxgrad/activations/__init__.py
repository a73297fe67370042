"""PyTorch's activation functions, with PyTorch's derivative at every kink."""
