"""`compare`: where two programs part, a port and its original for example."""

from jaxgrad._checks import check_positive, wrong_type
from jaxgrad.inspection.comparison.comparison import Comparison
from jaxgrad.inspection.comparison.search import findings_of
from jaxgrad.inspection.report.explanation import Explanation


def compare(
    theirs: Explanation, ours: Explanation, tolerance: float | int | None = None
) -> Comparison:
    """The first step at which two programs that should be equal part, with both lines.

    Aligns the steps of two explanations: of a PyTorch program and its port, of a
    function before and after a change, in two dtypes, or with two versions of a
    library. Layouts and names may differ, as may the order of the steps; one side may
    fuse what the other computes step by step, or unroll the other's loop.

    Named first is an argument that differs, then the first step whose value differs
    while all that it reads agrees, then, if all values agree, the first gradient that
    differs in the order of the backward pass.

    Args:
        theirs: The explanation of the original.
        ours: The explanation of the port. Both may hold summaries only
            (`keep="summary"`), which shows less.
        tolerance: The relative difference to accept; None for what rounding explains
            in the coarser of the two dtypes: a few units for each step, more for sums
            of many terms, and what earlier differences become.

    Returns:
        A `Comparison`. Its `first` is None, or the first `Difference`. It prints as the
        verdict and a table of the aligned steps, and is shown and saved as a page.

    Raises:
        TypeError: If `theirs` or `ours` is not an `Explanation`.
        ValueError: If `tolerance` is not positive.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from jaxgrad import compare, explain
        >>> def original(w, x):
        ...     h = x * w
        ...     return jnp.sum(jax.nn.gelu(h, approximate=False))
        >>> def port(w, x):
        ...     h = w * x
        ...     return jnp.sum(jax.nn.gelu(h))
        >>> w, x = jnp.array([1.0, 2.0]), jnp.array([0.3, -0.7])
        >>> comparison = compare(explain(original)(w, x), explain(port)(w, x))
        >>> comparison.first.what, comparison.first.ours.operation
        ('value', 'gelu')
        >>> comparison.first.cause
        'activation'

    Torch: has no counterpart; PaDiff does this for PaddlePaddle.
    """
    for name, report in (("theirs", theirs), ("ours", ours)):
        if not isinstance(report, Explanation):
            kind = type(report).__name__
            raise wrong_type("compare", f"{name} to be an Explanation", kind)
    if tolerance is not None:
        tolerance = float(check_positive("compare", "tolerance", tolerance))
    return findings_of(theirs, ours, tolerance)
