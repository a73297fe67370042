"""The JAX ports, all correct, in the styles in which people write them.

Each has `params_from_torch`, which converts a state_dict, and `loss`.
"""
