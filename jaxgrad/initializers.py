"""PyTorch's initialisers."""
