"""A multilayer perceptron: a Flax module, used as a pure function of its parameters.

Flax handles the layers and their shapes. The parameters are a nested dictionary of
arrays that `jax.grad` differentiates, Optax updates and a checkpoint stores.
"""

import functools
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Float

from jaxgrad.initializers import linear_bias, linear_weight

Apply = Callable[[Any, ArrayLike], jax.Array]
Parameters = dict[str, dict[str, jax.Array]]


class MLP(nnx.Module):
    """Linear layers `fc1`, `fc2`, ... with ReLU between them.

    They are initialised like `torch.nn.Linear`: weights and biases uniform in
    (-1/sqrt(inputs), 1/sqrt(inputs)).
    """

    def __init__(
        self, sizes: Sequence[int], dtype: DTypeLike = "float32", *, rngs: nnx.Rngs
    ):
        self.features = sizes[0]
        self.depth = len(sizes) - 1
        weight = linear_weight(in_axis=-2, out_axis=-1)
        options: Any = {"param_dtype": dtype, "kernel_init": weight, "rngs": rngs}
        for number, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
            layer = nnx.Linear(
                inputs, outputs, bias_init=linear_bias(inputs), **options
            )
            setattr(self, f"fc{number}", layer)

    def __call__(
        self, images: Float[ArrayLike, "n *pixels"]
    ) -> Float[jax.Array, "n out"]:
        """The logits of a batch, whose images may have any number of axes."""
        x = _flat(images, self.features)
        for number in range(1, self.depth):
            x = nnx.relu(getattr(self, f"fc{number}")(x))
        return getattr(self, f"fc{self.depth}")(x)


def mlp(
    key: jax.Array,
    sizes: Sequence[int] = (784, 1024, 512, 10),
    dtype: DTypeLike = "float32",
) -> tuple[Apply, Parameters]:
    r"""A multilayer perceptron as a pure function, and its initial parameters.

    $$ x \mapsto W_L\, r(\dots r(W_1 x + b_1) \dots) + b_L, \quad r(x) = \max(x, 0) $$

    Args:
        key: Draws the parameters, uniform in $\pm 1/\sqrt{\text{inputs}}$.
        sizes: The number of features of the input and of each layer's output.
        dtype: The dtype of the parameters.

    Returns:
        `apply(params, images) -> logits` and `params`, the nested dictionary
        `{"fc1": {"kernel": (784, 1024), "bias": (1024,)}, "fc2": ...}`. `images` have
        shape `(n, height, width)` or `(n, features)` and the parameters' dtype; the
        logits have shape `(n, sizes[-1])`. Equal `sizes` return the same `apply`, so
        a program compiled for one network serves another.

    Raises:
        TypeError: If a size is not an int or, in a call, the images are not floating.
        ValueError: If there are fewer than two sizes, a size is below 1 or, in a call,
            an image does not have `sizes[0]` features.

    Examples:
        >>> apply, params = mlp(jax.random.key(0))
        >>> apply(params, jax.numpy.zeros((2, 28, 28))).shape
        (2, 10)

    Torch: a module with `self.fc1 = nn.Linear(784, 1024)` and so on. A kernel here is
    the transpose of a weight there.
    """
    _check_sizes(sizes)
    graph, params = nnx.split(MLP(tuple(sizes), dtype, rngs=nnx.Rngs(key)))
    return _pure(graph), nnx.to_pure_dict(params)


@functools.cache
def _pure(graph: nnx.GraphDef) -> Apply:
    """The same function for equal graphs, because `jax.jit` compares by identity."""
    return lambda params, images: nnx.merge(graph, params)(images)


def parameter_count(params: Any) -> int:
    """The number of parameters in a pytree.

    Examples:
        >>> parameter_count(mlp(jax.random.key(0))[1])
        1333770
    """
    return sum(np.size(leaf) for leaf in jax.tree.leaves(params))


def summary(params: Parameters) -> str:
    """A table of the layers, their shapes and their numbers of parameters.

    Examples:
        >>> print(summary(mlp(jax.random.key(0), sizes=(64, 32, 10))[1]))
        fc1    bias (32,), kernel (64, 32)  2,080
        fc2    bias (10,), kernel (32, 10)    330
        total                               2,410
    """
    cells = []
    for name, layer in sorted(params.items()):
        shapes = ", ".join(f"{k} {v.shape}" for k, v in sorted(layer.items()))
        cells.append((name, shapes, f"{parameter_count(layer):,}"))
    cells.append(("total", "", f"{parameter_count(params):,}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        f"{name:<{widths[0]}}  {shapes:<{widths[1]}}  {count:>{widths[2]}}"
        for name, shapes, count in cells
    )


def _flat(images: ArrayLike, features: int) -> jax.Array:
    images = jnp.asarray(images)
    if not jnp.issubdtype(images.dtype, jnp.floating):
        got = f"got {images.dtype} instead"
        raise TypeError(f"mlp: expected images of a floating dtype, {got}.")
    count = math.prod(images.shape[1:])
    if images.ndim < 2 or count != features:
        raise ValueError(
            f"mlp: expected images of at least 2 axes with {features} features after "
            f"the batch axis, got shape {images.shape}, which has {count}, instead."
        )
    return images.reshape(len(images), features)


def _check_sizes(sizes: Sequence[int]) -> None:
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int):
            kind = type(size).__name__
            raise TypeError(f"mlp: expected sizes to be ints, got {kind} instead.")
    if len(sizes) < 2 or min(sizes) < 1:
        expected = "two or more sizes >= 1, (inputs, ..., outputs)"
        raise ValueError(f"mlp: expected {expected}, got {tuple(sizes)} instead.")
