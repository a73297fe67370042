"""`check_gradients` and `assert_gradients`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from jaxgrad._checks import check_callable, check_int, check_range, wrong_value
from jaxgrad._guards import undisturbed
from jaxgrad.gradcheck._compare import compare
from jaxgrad.gradcheck._precision import compare_precisions
from jaxgrad.gradcheck._problem import computing, gradient_of, problem_of
from jaxgrad.gradcheck._report import GradientCheck


def check_gradients(
    f: Callable[..., Any],
    rtol: int | float | None = None,
    atol: int | float | None = None,
    has_aux: bool = False,
    order: int = 1,
) -> Callable[..., GradientCheck]:
    r"""Compare the derivatives of a function with central differences.

    The Jacobian of all floating results with respect to all floating arguments is
    compared entry by entry, in reverse and in forward mode. It is computed in float64
    (in the context `jax.enable_x64`, which does not change the configuration) unless
    `f` casts to a narrower dtype; then in the dtype of the arguments. The gradient in
    the arguments' own dtype is compared with the float64 one as well: it is
    `inaccurate` where its error is far more than rounding.

    Args:
        f: A function of pytrees. Only floating arrays and Python floats vary; in an
            Equinox or Flax NNX module, only its parameters. It is called in batches
            under `jax.vmap`.
        rtol: The allowed error of a derivative, relative to its size; by default 1e-5
            in float64 and 5e-3 in float32.
        atol: The allowed absolute error; by default the error that the measured
            rounding of `f` causes in a difference quotient.
        has_aux: Whether `f` returns a pair (result, aux); aux is not checked.
        order: 2 checks the derivatives of the gradient as well. The gradient of an
            array-valued `f` is the gradient of a fixed weighted sum of its results.

    Returns: A function of the arguments of `f` that returns a `GradientCheck`.
    Raises: TypeError if `f` is not a function or a tolerance not a number; on the call,
        if a result is complex, none is floating, or an argument is traced; ValueError
        if `order` is not 1 or 2, or a tolerance is negative.
    Torch: `torch.autograd.gradcheck`, which needs double precision arguments.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> report = check_gradients(lambda x: jnp.sum(jnp.sin(x)))(jnp.ones(3))
        >>> report.ok, report.dtype, report.checked
        (True, 'float64', 3)
        >>> check_gradients(jax.nn.relu)(jnp.zeros(1)).kinks[0].right
        1.0
    """
    check_callable("check_gradients", "f", f)
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance is not None:
            check_range("check_gradients", name, tolerance, 0)
    order = check_int("check_gradients", "order", order, least=1)
    if order > 2:
        raise wrong_value("check_gradients", "order 1 or 2", order)

    def checked(*args: Any, **kwargs: Any) -> GradientCheck:
        # Infinite arguments and poles: the report says what is not finite.
        with undisturbed(), np.errstate(all="ignore"):
            problem = problem_of(f, has_aux, args, kwargs)
            with computing(problem):
                report = compare(problem, rtol, atol)
                if order == 2:
                    second = compare(gradient_of(problem), rtol, atol)
                    report = _joined(report, second)
            if "reverse" not in report.modes:
                return report
            wrong, note = compare_precisions(problem)
            notes = (*report.notes, note) if note else report.notes
            ok = report.ok and not wrong
            return replace(report, ok=ok, inaccurate=wrong, notes=notes)

    return checked


def assert_gradients(
    f: Callable[..., Any],
    rtol: int | float | None = None,
    atol: int | float | None = None,
    has_aux: bool = False,
    order: int = 1,
) -> Callable[..., None]:
    """`check_gradients` for tests: raises AssertionError if a derivative is wrong.

    Args: as in `check_gradients`.
    Returns: A function of the arguments of `f` that returns None.
    Raises: AssertionError on the call, with the worst entry, or if a gradient is
        inaccurate in the dtype of its argument.

    Examples:
        >>> import jax.numpy as jnp
        >>> assert_gradients(jnp.tanh)(0.5)
    """
    check = check_gradients(f, rtol, atol, has_aux, order)

    def asserted(*args: Any, **kwargs: Any) -> None:
        report = check(*args, **kwargs)
        assert report.ok, str(report)

    return asserted


def _joined(first: GradientCheck, second: GradientCheck) -> GradientCheck:
    elements = [r.worst for r in (first, second) if r.worst is not None]
    return replace(
        first,
        ok=first.ok and second.ok,
        worst=max(elements, key=lambda element: element.excess, default=None),
        failures=first.failures + second.failures,
        kinks=first.kinks + second.kinks,
        checked=first.checked + second.checked,
        notes=tuple(dict.fromkeys(first.notes + second.notes)),
    )
