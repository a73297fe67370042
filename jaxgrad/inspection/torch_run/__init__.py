"""A run of a PyTorch program, recorded: its tensors, its calls, its gradients.

torch is imported inside functions only, so that every file is importable without it.
"""
