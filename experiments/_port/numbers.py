"""The weights and data that both frameworks get, from NumPy's frozen generator.

The weights have PyTorch's names and layouts.
"""

from itertools import pairwise

import numpy as np

Numbers = dict[str, np.ndarray]


def two_layer_net() -> Numbers:
    """The seed's network, small; the last hidden unit starts with weights of zero."""
    shapes = {"x": (8, 12), "y": (8, 3), "w1": (12, 6), "w2": (6, 3)}
    numbers = _drawn(shapes)
    numbers["w1"][:, -1] = 0.0
    return numbers


def mlp() -> Numbers:
    """The seed's perceptron, small, and images of 4 by 4 pixels."""
    sizes = (16, 12, 8, 10)
    shapes: dict[str, tuple[int, ...]] = {"images": (6, 4, 4)}
    for i, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        shapes |= {f"fc{i}.weight": (outputs, inputs), f"fc{i}.bias": (outputs,)}
    return _drawn(shapes) | {"labels": np.array([3, 1, 4, 1, 5, 9])}


def cnn() -> Numbers:
    """A convolution, a pooling and a linear layer, and images with two channels."""
    shapes = {"images": (5, 2, 6, 6), "conv.weight": (4, 2, 3, 3), "conv.bias": (4,)}
    shapes |= {"fc.weight": (10, 36), "fc.bias": (10,)}
    return _drawn(shapes) | {"labels": np.array([2, 7, 1, 8, 2])}


def _drawn(shapes: dict[str, tuple[int, ...]]) -> Numbers:
    draw = np.random.RandomState(0).standard_normal
    return {name: 0.5 * draw(shape) for name, shape in shapes.items()}
