"""Every property of every function of the table of cases, against golden values."""

import jax
import jax.numpy as jnp
import pytest

from tests import golden
from tests.cases import CASES, FAMILIES, in_jaxgrad
from tests.tolerances import DTYPES, assert_close

HOW = f"(cases changed? regenerate the golden values: {golden.REGENERATE})"
TABLE = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
GOLDEN = {id: entry for family in FAMILIES for id, entry in golden.load(family).items()}


def arrays_of(case, dtype):
    return {name: jnp.asarray(array, dtype) for name, array in case.arrays.items()}


def value_and_gradients(case):
    """The value and the gradients of sum(cotangent * value), by array."""
    call = in_jaxgrad(case)

    def both(arrays):
        value, pull_back = jax.vjp(lambda arrays: call(**arrays), arrays)
        weights = jnp.asarray(golden.cotangent(value.shape), value.dtype)
        return value, pull_back(weights)[0]

    return both


def second_derivatives(case):
    """The gradients of sum(direction * gradient), by array."""
    both = value_and_gradients(case)

    def slope(arrays):
        _, gradients = both(arrays)
        return sum(
            jnp.sum(gradient * golden.direction(gradient.shape))
            for gradient in gradients.values()
        )

    return jax.grad(slope)


def assert_all_close(actual, expected, case, what, dtype="float64"):
    assert actual.keys() == expected.keys(), HOW
    for name, array in expected.items():
        assert actual[name].shape == array.shape, HOW
        message = f"{case.id}: {what} of {name} {HOW}"
        assert_close(actual[name], array, dtype, message)


def test_golden_values_and_table_have_the_same_cases():
    ids = [case.id for case in CASES]
    assert len(set(ids)) == len(ids)
    assert list(GOLDEN) == ids, HOW


@TABLE
def test_values_and_derivatives_equal_torch_s(case, x64):
    expected = GOLDEN[case.id]
    traced = []

    @jax.jit
    def everything(arrays):
        traced.append(case)
        value, gradients = value_and_gradients(case)(arrays)
        return value, gradients, second_derivatives(case)(arrays) if case.second else {}

    value, gradients, second = everything(arrays_of(case, "float64"))
    assert value.shape == expected.value.shape, HOW
    assert value.dtype == jnp.float64
    assert_close(value, expected.value, err_msg=f"{case.id}: value {HOW}")
    assert_all_close(gradients, expected.gradients, case, "gradient")
    assert_all_close(second, expected.second, case, "second derivative")
    everything({name: -array for name, array in arrays_of(case, "float64").items()})
    assert traced == [case], "other numbers must not compile again"


@TABLE
def test_dtypes_are_kept_and_results_close_to_float64(case, x64):
    expected = GOLDEN[case.id]
    both = value_and_gradients(case)
    dtypes = [dtype for dtype in case.dtypes if dtype != "float64"]
    all_of_them = jax.jit(lambda *by_dtype: [both(arrays) for arrays in by_dtype])
    results = all_of_them(*(arrays_of(case, dtype) for dtype in dtypes))
    for dtype, (value, gradients) in zip(dtypes, results, strict=True):
        assert value.dtype == dtype
        assert {array.dtype.name for array in gradients.values()} == {dtype}
        assert_close(value, expected.value, dtype, f"{case.id}: value in {dtype}")
        assert_all_close(gradients, expected.gradients, case, "gradient", dtype)


@TABLE
def test_vmap_keeps_rows_independent(case, x64):
    batched = jax.jit(jax.vmap(lambda arrays: in_jaxgrad(case)(**arrays)))
    one = arrays_of(case, "float64")
    other = jax.tree.map(jnp.negative, one)
    ahead, behind = (
        batched(jax.tree.map(lambda *rows: jnp.stack(rows), *pair))
        for pair in ((one, other), (other, one))
    )
    expected = GOLDEN[case.id].value
    assert_close(ahead[0], expected, err_msg=case.id)
    assert_close(behind[1], expected, err_msg=case.id)
    assert_close(ahead[1], behind[0], err_msg=case.id)


def test_every_dtype_with_a_tolerance_is_tested():
    assert {dtype for case in CASES for dtype in case.dtypes} == set(DTYPES)
