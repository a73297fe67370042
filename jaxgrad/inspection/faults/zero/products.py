"""Products with a factor that is zero, and products too small for the dtype."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxgrad.inspection.faults.zero.blocks import Block, nonzero
from jaxgrad.inspection.faults.zero.bounds import original
from jaxgrad.inspection.faults.zero.cause import Cause
from jaxgrad.inspection.program import jaxprs
from jaxgrad.inspection.run.backward import Backward, replaced
from jaxgrad.inspection.run.tape import Value

PRODUCTS = frozenset("mul dot_general conv_general_dilated div reduce_prod".split())
EXPONENTIALS = ("exp", "exp2")
# A result of 0 from operands that are not 0 is too small for the dtype.
POWERS = frozenset("mul div integer_pow square reduce_prod".split())
SUMS = frozenset("add sub add_any reduce_sum log1p".split())


def by_product(block: Block, cotangents: list[Any]) -> Cause | None:
    """The cause if a gradient would pass without the zeros of a factor."""
    for i, other in enumerate(block.entry.inputs):
        if i == block.position or not passes_without_zeros(block, cotangents, i):
            continue
        if other.active and id(other) in block.masks and block.masks[id(other)].any():
            return Cause("stationary", block, zero=other)
        return _by_zero(block, other)
    literals = [v for v in block.entry.operands if v.kind == "literal"]
    if block.entry.primitive in PRODUCTS and literals:
        return _by_zero(block, literals[0])
    return None


def _by_zero(block: Block, zero: Value) -> Cause:
    array = np.asarray(zero.array)
    flushed = ((array != 0) & _is_zero(array)).any()
    ordinary = np.isfinite(array).all() and not _is_zero(array).any()  # as in 1 / x
    small = flushed or ordinary or _underflowed(zero)
    reason = "underflow" if small else "multiplied"
    return Cause(reason, block, zero=zero)


def passes_without_zeros(block: Block, cotangents: list[Any], position: int) -> bool:
    """Whether a gradient passes once the zeros of an operand are ones."""
    array = block.entry.inputs[position].array
    if not jaxprs.is_floating(array) or not _is_zero(array).any():
        return False
    filled = jnp.where(_is_zero(array), jnp.ones_like(array), array)
    arrays = [v.array for v in block.entry.inputs]
    return passes(block, cotangents, replaced(arrays, {position: filled}))


def _is_zero(array: Any) -> np.ndarray:
    """Which elements are zero to the processor, which flushes subnormal numbers."""
    array = np.asarray(array)
    return np.asarray(np.abs(array) < jnp.finfo(array.dtype).tiny)


def _underflowed(value: Value) -> bool:
    """Whether all zeros of a value are results too small for the dtype."""
    maker = original(value).maker
    if maker is None or maker.primitive in EXPONENTIALS:
        return maker is not None
    operands = [v for v in maker.operands if jaxprs.is_floating(v.array)]
    zeros = [v for v in operands if (np.asarray(v.array) == 0).any()]
    return maker.primitive in POWERS and all(map(_underflowed, zeros))


def too_small(block: Block) -> bool:
    """Whether a product of numbers that are not zero is too small for the dtype."""
    entry, array = block.entry, np.asarray(block.value.array)
    made = [np.asarray(v.array) for v in entry.outputs]
    zero = entry.primitive in POWERS and all((y == 0).all() for y in made)
    return zero and bool((array[block.mask] != 0).all())


def vanishes(block: Block) -> bool:
    """Whether a result underflows to zero and is not added to anything else."""
    entry = block.entry
    if entry.primitive not in EXPONENTIALS:
        return False
    readers = (reader for output in entry.outputs for reader, _ in output.parts)
    return not any(
        reader is not None
        and reader.primitive in SUMS
        and any(nonzero(v.array, np.shape(v.array)).any() for v in reader.outputs)
        for reader in readers
    )


def passes(
    block: Block, cotangents: Sequence[Any], arrays: Sequence[Any] | None = None
) -> bool:
    """Whether cotangents reach the operand, for these operands or their own."""
    entry, position = block.entry, block.position
    assert position is not None
    arrays = [v.array for v in entry.inputs] if arrays is None else arrays
    part = Backward([]).pull(entry, arrays, cotangents).get(position)
    return bool((nonzero(part, block.mask.shape) & block.mask).any())
