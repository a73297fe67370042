"""Type aliases shared by several modules."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
from jax.typing import ArrayLike as ArrayLike

Array: TypeAlias = jax.Array
DTypeLike: TypeAlias = jax.typing.DTypeLike
PRNGKey: TypeAlias = jax.Array
PyTree: TypeAlias = Any
Reduction: TypeAlias = Literal["none", "mean", "sum"]
Scalar: TypeAlias = int | float | Array
ScalarOrSchedule: TypeAlias = Scalar | Callable[[ArrayLike], ArrayLike]
