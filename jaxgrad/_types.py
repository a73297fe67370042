"""Type aliases shared by several modules."""

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import numpy as np
from jax.typing import ArrayLike as ArrayLike

Array: TypeAlias = jax.Array
Flag: TypeAlias = bool | np.bool_
Number: TypeAlias = int | float | np.integer[Any] | np.floating[Any]
DTypeLike: TypeAlias = jax.typing.DTypeLike
PRNGKey: TypeAlias = jax.Array
PyTree: TypeAlias = Any
Reduction: TypeAlias = Literal["none", "mean", "sum"]
Scalar: TypeAlias = Number | Array
ScalarOrSchedule: TypeAlias = Scalar | Callable[[ArrayLike], ArrayLike]
