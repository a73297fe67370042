"""How an array of torch lies in memory, and how its counterpart does.

A rule moves the elements of torch's array and never computes with them. So one function
gives both directions: applied to the elements' numbers, it says where each one goes.
"""

from collections.abc import Callable

import numpy as np

Rule = Callable[[np.ndarray], np.ndarray]


def unchanged(x: np.ndarray) -> np.ndarray:
    """The same axes in the same order: torch's own layout.

    Also for the weights of `Conv1D` in transformers' GPT-2, which are (in, out).
    """
    return x


def linear(x: np.ndarray) -> np.ndarray:
    """(out, in) as (in, out): the kernel of `Dense` and `Linear`."""
    return conv(x)


def conv(x: np.ndarray) -> np.ndarray:
    """(out, in, *space) as (*space, in, out): `Conv`, with groups too.

    Also for a `ConvTranspose` of Flax with `transpose_kernel=True`, whose kernel is
    (*space, out, in), from torch's (in, out, *space).
    """
    return x.transpose(*range(2, x.ndim), 1, 0)


def conv_transpose(x: np.ndarray) -> np.ndarray:
    """(in, out, *space) as (*space, in, out), with flipped spatial axes.

    For a `ConvTranspose` of Flax as it is by default. Torch correlates backwards with
    the same kernel, Flax forwards, so the spatial axes run the other way.
    """
    space = range(2, x.ndim)
    return np.flip(x, tuple(space)).transpose(*space, 0, 1)


def after_flatten(*shape: int) -> Rule:
    """The kernel of a linear layer whose input is a flattened image.

    Torch flattens (channels, *space), Flax (*space, channels), so the rows differ.

    Args:
        shape: Torch's shape before it is flattened: channels, then the spatial axes.
    Returns: The rule for `rules`, as in `rules={"fc": after_flatten(16, 5, 5)}`.
    """

    def rule(x: np.ndarray) -> np.ndarray:
        channels_last = np.moveaxis(x.reshape(-1, *shape), 1, -1)
        return channels_last.reshape(len(x), -1).T

    return rule
