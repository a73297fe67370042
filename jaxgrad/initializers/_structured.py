"""Structured initializers: identities, orthogonal and sparse kernels."""

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxgrad._checks import check_int, check_range, wrong_value
from jaxgrad._types import Array, DTypeLike, PRNGKey
from jaxgrad.initializers._initializer import (
    Initializer,
    Shape,
    check_kernel,
    initializer,
)


def eye(
    key: PRNGKey, shape: Sequence[int], dtype: DTypeLike | None = None
) -> Float[Array, "rows columns"]:
    """An initializer of ones on the diagonal, the same in torch's and Flax's layout.

    Raises: ValueError unless `shape` has two axes.
    Torch: `torch.nn.init.eye_`.

    Examples:
        >>> eye(jax.random.key(0), (2, 3))
        Array([[1., 0., 0.],
               [0., 1., 0.]], dtype=float32)
    """
    return initializer(
        "eye",
        lambda key, shape, dtype: jnp.eye(*shape, dtype=dtype),
        partial(check_kernel, "eye", ndims=(2,)),
    )(key, shape, dtype)


def dirac(groups: int = 1, *, in_axis: int = 1, out_axis: int = 0) -> Initializer:
    """The kernel of a convolution that passes its input channels on.

    Args:
        groups: The groups of the convolution; each passes on its own channels.
        in_axis: The axis of the inputs (of one group).
        out_axis: The axis of the outputs (of all groups).

    Returns: An initializer of shapes with three to five axes.
    Raises: ValueError if `groups < 1` or, on the call, if `groups` does not divide the
        number of outputs or the shape does not have three to five axes.
    Torch: `torch.nn.init.dirac_`.

    Examples:
        >>> dirac()(jax.random.key(0), (2, 1, 3))
        Array([[[0., 1., 0.]],
               [[0., 0., 0.]]], dtype=float32)
    """
    groups = check_int("dirac", "groups", groups, least=1)

    def check(shape: Shape) -> None:
        check_kernel("dirac", shape, in_axis, out_axis, ndims=(3, 4, 5))
        if shape[out_axis] % groups:
            what = f"groups to divide the {shape[out_axis]} outputs of shape {shape}"
            raise wrong_value("dirac", what, groups)

    def draw(key: PRNGKey, shape: Shape, dtype: DTypeLike) -> Array:
        del key
        weight = jnp.moveaxis(jnp.zeros(shape, dtype), (out_axis, in_axis), (0, 1))
        outputs, inputs, *kernel = weight.shape
        output = np.arange(outputs)
        channel = output % (outputs // groups)
        centre = tuple(size // 2 for size in kernel)
        fed = channel < inputs
        weight = weight.at[(output[fed], channel[fed], *centre)].set(1.0)
        return jnp.moveaxis(weight, (0, 1), (out_axis, in_axis))

    return initializer("dirac", draw, check)


def orthogonal(
    gain: float = 1.0, *, in_axis: int = 1, out_axis: int = 0
) -> Initializer:
    """A random orthogonal matrix; if not square, its shorter side is orthonormal.

    Args:
        gain: The factor of the matrix.
        in_axis: The axis of the inputs. All axes except `out_axis` together are one
            side of the matrix.
        out_axis: The axis of the outputs, the other side.

    Returns: An initializer of shapes with at least two axes.
    Raises: ValueError on the call, if the shape has fewer axes.
    Torch: `torch.nn.init.orthogonal_`.
    References: Saxe et al., 2013; Mezzadri, 2006.

    Examples:
        >>> weight = orthogonal()(jax.random.key(0), (2, 5))
        >>> bool(jnp.allclose(weight @ weight.T, jnp.eye(2), atol=1e-6))
        True
    """
    return initializer(
        "orthogonal",
        jax.nn.initializers.orthogonal(gain, column_axis=out_axis),
        partial(check_kernel, "orthogonal", in_axis=in_axis, out_axis=out_axis),
    )


def sparse(
    sparsity: float, std: float = 0.01, *, in_axis: int = 1, out_axis: int = 0
) -> Initializer:
    """Normal numbers with the same fraction of zeros in every input's column.

    Args:
        sparsity: The fraction of zeros, in [0, 1]; their number is rounded up.
        std: The standard deviation of the others.
        in_axis: The axis of the inputs.
        out_axis: The axis of the outputs, along which the zeros are counted.

    Returns: An initializer of shapes with two axes.
    Raises: ValueError if `sparsity` is not in [0, 1] (torch takes any number), if `std`
        is negative or, on the call, if the shape does not have two axes.
    Torch: `torch.nn.init.sparse_`.
    References: Martens, 2010.

    Examples:
        >>> (sparse(0.75)(jax.random.key(0), (8, 3)) == 0).sum(axis=0)
        Array([6, 6, 6], dtype=int32)
    """
    check_range("sparse", "sparsity", sparsity, 0.0, 1.0)
    check_range("sparse", "std", std, least=0.0)

    def draw(key: PRNGKey, shape: Shape, dtype: DTypeLike) -> Array:
        value_key, place_key = jax.random.split(key)
        # Sorting random bits draws a permutation of 0, 1, 2, ... for each column.
        place = jnp.argsort(jax.random.bits(place_key, shape), axis=out_axis)
        kept = place >= math.ceil(sparsity * shape[out_axis])
        return jnp.where(kept, std * jax.random.normal(value_key, shape, dtype), 0.0)

    check = partial(check_kernel, "sparse", in_axis=in_axis, out_axis=out_axis)
    return initializer("sparse", draw, partial(check, ndims=(2,)))
