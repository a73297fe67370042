"""A multilayer perceptron: a Flax module, used as a pure function of its parameters.

Flax keeps the layers' shapes and the order of the calls, jaxgrad the parameters: a
nested dictionary of arrays that `jax.grad` differentiates, Optax updates,
`jax.tree.map` changes and a checkpoint stores.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float

from jaxgrad._checks import check_floating, check_int, check_ndim
from jaxgrad._types import Array, ArrayLike, DTypeLike, PRNGKey, PyTree
from jaxgrad.initializers import linear_bias, linear_weight

Apply = Callable[[PyTree, ArrayLike], Array]
Parameters = dict[str, dict[str, Array]]


class MLP(nnx.Module):
    """Linear layers `fc1`, `fc2`, ... with ReLU between them.

    They start as `torch.nn.Linear` does: weights and biases uniform in
    (-1/sqrt(inputs), 1/sqrt(inputs)).

    Args:
        sizes: The number of features of the input and of each layer's output.
        dtype: The dtype of the parameters.
        rngs: Flax's random streams, of which `params` is used.
    """

    def __init__(
        self, sizes: Sequence[int], dtype: DTypeLike = "float32", *, rngs: nnx.Rngs
    ):
        self.features = sizes[0]
        self.depth = len(sizes) - 1
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            layer = nnx.Linear(
                inputs,
                outputs,
                param_dtype=dtype,
                kernel_init=linear_weight(in_axis=-2, out_axis=-1),
                bias_init=linear_bias(inputs),
                rngs=rngs,
            )
            setattr(self, f"fc{number}", layer)

    def __call__(self, images: Float[ArrayLike, "n *pixels"]) -> Float[Array, "n out"]:
        """The logits of a batch, whose images may have any number of axes."""
        x = _flat(images, self.features)
        for number in range(1, self.depth):
            x = nnx.relu(getattr(self, f"fc{number}")(x))
        return getattr(self, f"fc{self.depth}")(x)


def mlp(
    key: PRNGKey,
    sizes: Sequence[int] = (784, 1024, 512, 10),
    dtype: DTypeLike = "float32",
) -> tuple[Apply, Parameters]:
    r"""A multilayer perceptron as a pure function and its first parameters.

    $$ x \mapsto W_L\, r(\dots r(W_1 x + b_1) \dots) + b_L, \quad r(x) = \max(x, 0) $$

    Args:
        key: Draws the parameters, uniform in $\pm 1/\sqrt{\text{inputs}}$.
        sizes: The number of features of the input and of each layer's output.
        dtype: The dtype of the parameters.

    Returns:
        `apply(params, images) -> logits` and `params`, the nested dictionary
        `{"fc1": {"kernel": (784, 1024), "bias": (1024,)}, "fc2": ...}`. `images` have
        shape `(n, height, width)` or `(n, features)` and the parameters' dtype; the
        logits have shape `(n, sizes[-1])`. Equal `sizes` give the same `apply`, so
        that a program compiled for one network serves another.

    Raises:
        TypeError: If a size is no int or, on the call, if the images are not floating.
        ValueError: If there are fewer than two sizes, one is below 1 or, on the call,
            if an image does not have `sizes[0]` features.

    Examples:
        >>> apply, params = mlp(jax.random.key(0))
        >>> apply(params, jax.numpy.zeros((2, 28, 28))).shape
        (2, 10)

    Torch: a module with `self.fc1 = nn.Linear(784, 1024)` and so on. A kernel here is
    the transpose of a weight there.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"mlp: expected sizes of at least one layer, (inputs, ..., outputs), "
            f"got {tuple(sizes)} instead."
        )
    for size in sizes:
        check_int("mlp", "sizes", size, least=1)
    graph, params = nnx.split(MLP(tuple(sizes), dtype, rngs=nnx.Rngs(key)))
    return _pure(graph), nnx.to_pure_dict(params)


@functools.cache
def _pure(graph: nnx.GraphDef) -> Apply:
    """The same function for equal graphs, for `jax.jit` knows functions by identity."""

    def apply(
        params: PyTree, images: Float[ArrayLike, "n *pixels"]
    ) -> Float[Array, "n out"]:
        return nnx.merge(graph, params)(images)

    return apply


def _flat(images: ArrayLike, features: int) -> Array:
    images = check_floating("mlp", "images", images)
    check_ndim("mlp", "images", images, least=2)
    count = math.prod(images.shape[1:])
    if count != features:
        raise ValueError(
            f"mlp: expected images of {features} features after the batch axis, "
            f"got shape {images.shape}, which has {count}, instead."
        )
    return images.reshape(len(images), features)


class Layer(NamedTuple):
    """What `layers` tells about one layer."""

    name: str
    shapes: dict[str, tuple[int, ...]]  # of each of its arrays
    parameters: int


def layers(params: PyTree) -> tuple[Layer, ...]:
    """The layers of nested parameters: each group of arrays with a common parent.

    Args:
        params: Nested dictionaries of arrays.

    Returns:
        One `Layer` for each, in the order of the tree.
    """
    groups: dict[str, dict[str, tuple[int, ...]]] = {}
    for path, leaf in jax.tree.leaves_with_path(params):
        *parents, name = (jax.tree_util.keystr((key,), simple=True) for key in path)
        groups.setdefault(".".join(parents), {})[name] = np.shape(leaf)
    return tuple(
        Layer(name, shapes, sum(map(math.prod, shapes.values())))
        for name, shapes in groups.items()
    )


def parameter_count(params: PyTree) -> int:
    """How many numbers the parameters hold.

    Examples:
        >>> parameter_count(mlp(jax.random.key(0))[1])
        1333770
    """
    return sum(np.size(leaf) for leaf in jax.tree.leaves(params))


def summary(params: PyTree) -> str:
    """A table of the layers, their shapes and their numbers of parameters.

    Examples:
        >>> print(summary(mlp(jax.random.key(0), sizes=(64, 32, 10))[1]))
        fc1    bias (32,), kernel (64, 32)  2,080
        fc2    bias (10,), kernel (32, 10)    330
        total                               2,410
    """
    rows = [
        (
            layer.name,
            ", ".join(f"{name} {shape}" for name, shape in layer.shapes.items()),
            f"{layer.parameters:,}",
        )
        for layer in layers(params)
    ]
    rows.append(("total", "", f"{parameter_count(params):,}"))
    first, second, third = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(
        f"{name:<{first}}  {shapes:<{second}}  {count:>{third}}"
        for name, shapes, count in rows
    )


def sha256(params: PyTree) -> str:
    """The SHA-256 of the parameters: of their leaves' bytes, in the tree's order.

    Two runs that agree in it ended in the same parameters to the last bit.
    """
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(params):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
