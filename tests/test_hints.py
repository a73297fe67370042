"""Each hint is given where its cause is present, and not where it only looks so."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import jaxgrad
from jaxgrad.inspection.faults.nonfinite.hints.case import Hint

inf, nan = jnp.inf, jnp.nan


@pytest.fixture(autouse=True)
def standard_promotion():
    """Optax and Flax mix dtypes."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def blame_of(f, *arguments, **options) -> Any:
    """jaxgrad's; the tests that read a blame fail at None by themselves."""
    return jaxgrad.find_nonfinite(f, **options)(*arguments)


def array(*elements, dtype=jnp.float32):
    return jnp.array(elements, dtype)


def total(f):
    return lambda x: f(x).sum()


def scanned(f):
    return lambda xs: jax.lax.scan(lambda c, x: (c + f(x), None), 0.0, xs)[0]


def positive_root(x):
    return jnp.where(x > 0, jnp.sqrt(x), 0.0)


def closed_root(x):  # which selects the root at 0, too
    return jnp.where(x >= 0, jnp.sqrt(x), 0.0)


def pairs(x):
    inverse = 1.0 / x
    return jnp.where(x > 0, inverse**2 - inverse, 0.0)


def ungated(x):
    inverse = 1.0 / x
    return inverse**2 - inverse


def adam(x):
    updates: Any = optax.adam(0.1).update(x, optax.adam(0.1).init(x))[0]
    return updates


def unrolled(w, eps_root=0.0):
    optimizer = optax.adam(0.1, eps_root=eps_root)
    grads = jax.grad(lambda v: v[0] ** 2 * v[1])(w)
    updates: Any = optimizer.update(grads, optimizer.init(w))[0]
    return updates**2


def embedded(table):
    embed = nnx.Embed(4, 2, rngs=nnx.Rngs(0))
    return embed(jnp.array([[0, 3], [7, 1]])) * table


def hidden(x, finite=False):
    logs = jnp.where(IDENTITY, x, -1e9 if finite else -inf)
    return jax.nn.logsumexp(array(0, -inf)[:, None] + logs, axis=0)


def difference(x):
    return x[0] ** 2 - x[1] ** 2


def wide(x):
    return x.astype(jnp.float16).astype(jnp.float32)


NOT_SELECTED, FACTOR = "The branch is not selected", "A factor of 0 makes"
UNUSED, SUPPORT = "not used later", "outside the support of a distribution"
MASK, ROW = "no row is fully masked", "reads is -inf: a row is fully masked"
BOUNDS, SINGULAR = "an index is out of bounds", "the matrix is singular"
ADD, LOSE = "which is added here, is 0", "0 in float16, where numbers below 6e-8"
HALVES = jnp.zeros(99, jnp.float16)
IDENTITY, GATE = jnp.eye(2, dtype=bool), array(0, 0)
ONES, UNIT = jnp.ones((2, 2)), jnp.eye(2)

# By name: a sentence, a function and an argument for which it is true, and a fault that
# only looks like it.
CASES = {
    # Why a cotangent is 0: only a select that the user wrote, and that left it out.
    "where": (NOT_SELECTED, positive_root, array(0, 1), closed_root, array(0, 1)),
    "where, not the factor before it": (
        *(NOT_SELECTED, positive_root, array(0, 1)),
        *(lambda x: 0 * closed_root(x), array(0, 1)),
    ),
    "where, not a library's select": (
        *(NOT_SELECTED, lambda x: jnp.where(~IDENTITY, jnp.sqrt(x), 0.0), 1 - UNIT),
        *(lambda x: jnp.tril(jnp.sqrt(x)), jnp.tril(ONES)),
    ),
    "where in a scan": (
        *(NOT_SELECTED, scanned(positive_root), array(1, 0)),
        *(scanned(lambda x: 0 * jnp.sqrt(x)), array(1, 0)),
    ),
    "where in jit, vmap and checkpoint": (
        *(NOT_SELECTED, jax.jit(jax.vmap(jax.checkpoint(positive_root))), array(1, 0)),
        *(jax.jit(jax.vmap(jax.checkpoint(closed_root))), array(1, 0)),
    ),
    "where in a gradient taken inside": (
        *(NOT_SELECTED, jax.grad(total(positive_root)), array(1, 0)),
        *(jax.grad(total(lambda x: 0 * jnp.sqrt(x))), array(1, 0)),
    ),
    "where two steps later": (NOT_SELECTED, pairs, array(0, 1), ungated, array(0, 1)),
    "a factor": (
        *(FACTOR, lambda x: jnp.tril(GATE * jnp.sqrt(x)) ** 2, jnp.zeros((2, 2))),
        *(lambda x: jax.nn.relu(jnp.sqrt(x) - 1), array(0, 1)),
    ),
    "a second derivative": (
        *(FACTOR, jax.hessian(total(lambda x: x ** jnp.array([0, 1]))), array(9, 0)),
        *(jax.hessian(total(lambda x: x**0.5)), array(9, 0)),
    ),
    "a slice": (
        *(UNUSED, lambda x: jnp.sqrt(x)[1:], array(0, 1)),
        *(lambda x: jnp.maximum(jnp.sqrt(x), 1), array(0, 4)),
    ),
    # A hint mentions a pole only if an operand is at it.
    "the root at 0": (
        *("sqrt at 0", positive_root, array(0, 1)),
        *(lambda x: jnp.where(x > 0, jnp.sqrt(x), 0.0), array(-1, 1)),
    ),
    "a power at base 0": (
        *("infinite derivative at base 0", lambda x: x**0.5, array(0)),
        *(lambda g: jnp.where(g > 0.3, (g - 0.3) ** 1.5, 0.0), array(0.1, 0.5)),
    ),
    "a negative base": (
        *("a negative base with a fractional power", lambda x: x**1.5, array(-1)),
        *(lambda x: x**-1.5, array(0)),
    ),
    "a power out of range": (
        *("the derivative of power leaves", lambda r: GATE * r**-2.0, array(1e-18, 1)),
        *(lambda r: GATE * r**-2.0, array(0, 1)),
    ),
    "log below 0": (
        *("log of a negative number", jnp.log, array(-1, 1)),
        *(jnp.log, array(0, 1)),
    ),
    "arccos at 1": (
        *("infinite derivative at -1 and 1", jnp.arccos, array(1)),
        *(lambda x: jnp.where(x < 2, 0.0, jnp.arccos(x)), array(1.5)),
    ),
    "an exponential out of range": (
        *("above 88.7", jnp.exp, array(90)),
        *(lambda x: jnp.exp(x) / 0, array(1)),
    ),
    # Constants, and what chose them.
    "a mask": (
        *(MASK, lambda x: jax.nn.softmax(jnp.where(x > 0, x, -inf)), array(-1, -2)),
        *(lambda x: jax.scipy.stats.expon.logpdf(x), array(-1, 1)),
    ),
    "a mask, not an infinity": (
        *(MASK, lambda x: jax.nn.softmax(x + array(-inf, -inf)), array(0, 1)),
        *(lambda x: jax.nn.softmax(x + array(inf, 0)), array(0, 1)),
    ),
    "a support": (
        *(SUPPORT, lambda x: jax.scipy.stats.beta.logpdf(x, 2.0, 2.0), array(0.5, 2)),
        *(lambda x: jnp.where(x < 1, x, -inf), array(0.5, 2)),
    ),
    "a row of -inf": (
        *(ROW, hidden, jnp.zeros((2, 2))),
        *(lambda x: jnp.log(jnp.exp(x - 200).sum()), array(0, 1)),
    ),
    "an empty mean": (
        *("the mean of an empty array", lambda x: x[:0].mean() + x, array(1)),
        *(lambda x: x.sum() / jnp.sum(GATE), array(1)),
    ),
    "0 * log(0)": (
        *("xlogy", lambda x: x * jnp.log(x), array(0)),
        *(lambda x: (x + 1) * jnp.log(x), array(0)),
    ),
    # Indices and matrices.
    "take": (
        *(BOUNDS, lambda x: jnp.take(x, jnp.array([0, 5])), array(1, 2)),
        *(lambda x: jnp.take(jnp.log(x), jnp.array([0, 1])), array(-1, 2)),
    ),
    "an embedding": (
        *(BOUNDS, embedded, jnp.ones(())),
        *(lambda x: embedded(1.0)[0] * jnp.log(x), jnp.zeros(())),
    ),
    "labels": (
        *(BOUNDS, lambda x: cross_entropy(x, jnp.array([0, 5])), ONES),
        *(lambda x: cross_entropy(x * inf, jnp.array([0, 1])), ONES),
    ),
    "a singular matrix": (
        *(SINGULAR, jnp.linalg.inv, ONES),
        *(lambda x: jnp.linalg.inv(x) * 1e38, UNIT / 1e3),
    ),
    "a singular matrix, not a singular right side": (
        *(SINGULAR, lambda x: jnp.linalg.solve(x, UNIT), ONES),
        *(lambda x: jnp.linalg.solve(x, ONES * 1e38), UNIT / 1e3),
    ),
    "an indefinite matrix": (
        *("not positive definite (smallest eigenvalue -1)", jnp.linalg.cholesky),
        *(array(1, 2, 2, 1).reshape(2, 2),),
        *(lambda x: jnp.linalg.cholesky(x) / 0, UNIT),
    ),
    "coinciding eigenvalues": (
        *("eigenvalues that coincide", lambda x: jnp.linalg.eigh(x)[1][0], UNIT),
        *(lambda x: jnp.sqrt(jnp.linalg.eigh(x)[1][0]), jnp.diag(array(1, 2))),
    ),
    "a matrix without full rank": (
        *(
            "needs a matrix of full rank",
            lambda x: jnp.linalg.qr(x)[0],
            jnp.zeros((2, 2)),
        ),
        *(lambda x: jnp.sqrt(jnp.linalg.qr(x)[0] - 1), -UNIT),
    ),
    # What the caller of a library can do.
    "an epsilon under the root": (
        *(f"eps_root, {ADD}", unrolled, array(0, 1)),
        *(lambda w: unrolled(w, 1e-8) / 0, array(0, 1)),
    ),
    "an epsilon in float16": (
        *(f"eps, {ADD}", adam, array(0, 1, dtype=jnp.float16)),
        *(lambda x: adam(x) / 0, array(0, 1)),
    ),
    "an epsilon of the user's": (
        *(LOSE, lambda x: x / (abs(x) + 1e-8), array(0, dtype=jnp.float16)),
        *(lambda x: x / (abs(x) + 0), array(0)),
    ),
    # Numbers that leave the range only in the derivative, or only in float16.
    "an exponential that shows in its derivative": (
        *("above 88.7, and the", lambda x: 1 / (1 + jnp.exp(-x)), array(-100, 1)),
        *(lambda x: jnp.exp(80 * jnp.sqrt(x)), array(0, 1)),
    ),
    "a power in float16 that shows in its derivative": (
        *("float16 ends at 65504, and the derivative", lambda x: jnp.tanh(x**3)),
        *(array(300, dtype=jnp.float16),),
        *(lambda x: 1 / (1 + (1 / x) ** 2), array(0, dtype=jnp.float16)),
    ),
    "a sum of cotangents": (
        *("the sum of their cotangents", lambda b: 1e3 * wide(HALVES + b)),
        *(array(1, dtype=jnp.float16)[0],),
        *(lambda x: 300 * wide(x * 300), array(1, dtype=jnp.float16)),
    ),
    "an infinite factor": (
        *("an infinite constant", lambda x: jnp.where(x > 0, 0, x * -inf), array(1)),
        *(lambda x: 1e30 * (1e30 * (1e-38 * x)), array(1)),
    ),
    "a learned exponent": (
        *("at a negative base", lambda e: array(-2, 3) ** e, jnp.float32(2)),
        *(lambda e: 1e8 * array(1e10, 3) ** e, jnp.float32(3)),
    ),
    "a variance below 0": (
        *("rounded below 0", lambda x: jnp.sqrt(difference(x) + 1e-5)),
        *(array(1, 1.00002),),
        *(lambda x: jnp.sqrt(difference(x) + 1e-5), array(1, 1.1)),
    ),
    "an epsilon that is too small": (
        *("is too small to", lambda x: jax.lax.rsqrt(x + 1e-5), array(-1)),
        *(lambda x: jax.lax.rsqrt(x - 1), array(0)),
    ),
    "singular values within rounding": (
        *("singular values that coincide", lambda x: jnp.linalg.svd(x)[0][0]),
        *(jnp.ones((4, 4)),),
        *(lambda x: jnp.sqrt(jnp.linalg.svd(x)[0]), jnp.diag(array(3, 2, 1))),
    ),
    "float16": (
        *("float16 ends at 65504", lambda x: x * x, array(300, dtype=jnp.float16)),
        *(lambda x: x * x, array(1e30)),
    ),
}


# The others run once in CI.
QUICK = (
    "where",
    "where, not a library's select",
    "where in a gradient taken inside",
    "a factor",
    "a power at base 0",
    "a power out of range",
    "a mask",
    "a support",
    "a row of -inf",
    "take",
    "a singular matrix",
    "an epsilon under the root",
    "an epsilon of the user's",
    "an exponential that shows in its derivative",
    "a sum of cotangents",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in CASES],
)
def test_a_hint_is_given_where_its_cause_is_and_nowhere_else(name):
    sentence, f, x, other, y = CASES[name]
    blame = blame_of(total(f), x)
    assert sentence in blame.hint, str(blame)
    missed = blame_of(total(other), y)
    assert missed.hint and sentence not in missed.hint, str(missed)


def cross_entropy(x, labels):
    return optax.softmax_cross_entropy_with_integer_labels(x, labels)


def test_an_infinity_that_a_derivative_reads_is_the_culprit_and_not_what_it_passes():
    blame = blame_of(total(pairs), array(0, 1))
    assert (blame.phase, blame.source.text) == ("forward", "inverse = 1.0 / x")
    assert blame.in_derivative and blame.became.operation == "power"
    assert "NaN in the derivative of power, test_hints.py" in str(blame)
    np.testing.assert_array_equal(blame.operands["x"], [0])


def test_the_offending_indices_are_shown_with_their_place():
    ids = jnp.array([[4, 23, -8], [17, 1, 2]])
    for read in (nnx.Embed(12, 2, rngs=nnx.Rngs(0)), table_lookup):
        blame = blame_of(lambda t, read=read: (read(ids) * t).sum(), 1.0)
        assert blame.operands["ids"].tolist() == [23, 17], str(blame)
        assert "(ids[0, 1] = 23 in an axis of 12)" in blame.hint


def table_lookup(ids):
    return jnp.ones((12, 2)).at[ids].get(mode="fill")


def test_the_values_that_chose_a_constant_are_shown():
    def nll(rate, y):
        inside = (y > 0) & (y < 9)
        return -jnp.where(inside, -rate * y, -inf).sum()

    blame = blame_of(nll, 1.0, array(3, 0, 10), argnums=0)
    assert blame.operands["y"].tolist() == [0, 10]
    assert "where y > 0 is False (y[1] = 0), y < 9 is False (y[2] = 10)" in blame.hint


def test_an_operand_that_was_indexed_is_named_by_its_index():
    blame = blame_of(lambda points: jnp.sqrt(points[:, 0]).sum(), jnp.zeros((2, 2)))
    assert blame.operands["points[:, 0]"].tolist() == [0, 0]
    blame = blame_of(lambda x: jnp.sqrt((x + x)[1:]).sum(), jnp.zeros(2))
    assert blame.operands["index"].tolist() == [0]  # of no variable


def test_the_library_s_own_line_is_printed():
    blame = blame_of(total(unrolled), array(0, 1))
    assert blame.library.file.endswith("optax/_src/transform.py")
    assert "jnp.sqrt(v + eps_root)" in blame.library.text
    assert f"inside it, {blame.library.file}:{blame.library.line}" in str(blame)
    # For an operation that the user called by name, it would say nothing new.
    assert blame_of(lambda x: jnp.sqrt(x).sum(), array(0)).library is None


def test_the_coinciding_singular_values_are_shown_with_the_cotangents_that_matter():
    def split(m):
        u, s, vh = jnp.linalg.svd(m, full_matrices=False)
        return (u[:, 0] * s[0]).sum() + vh[0, 0] * 0

    blame = blame_of(split, jnp.diag(array(2, 2, 1)))
    assert blame.operands["singular values of m"].tolist() == [2, 2, 1]
    assert "cotangent of s" not in blame.operands


def test_an_incoming_bad_cotangent_is_followed_to_where_it_was_made():
    def loss(x):
        root = jnp.sqrt(x)
        steep = jnp.sqrt(root * 0)
        return steep.sum()

    blame = blame_of(loss, array(0, 1))
    assert blame.source.text == "steep = jnp.sqrt(root * 0)"


@pytest.mark.parametrize("f", [jnp.median, lambda x: jnp.quantile(x, 0.3)])
def test_a_nan_that_a_library_tests_for_is_followed_to_where_it_was_made(f):
    def loss(x):
        logs = jnp.log(x)
        return f(logs)

    blame = blame_of(loss, array(-1, 1, 2))
    assert (blame.phase, blame.step.name) == ("forward", "logs")
    constant = blame_of(lambda x: jnp.where(x > 0, x, nan).sum(), array(-1, 1))
    assert constant.hint == "The function contains a NaN constant."


def test_the_line_inside_a_function_with_a_custom_derivative_is_found():
    @jax.custom_jvp
    def squashed(x):
        grown = jnp.exp(x)
        return grown / (1 + grown)

    squashed.defjvp(lambda primals, tangents: (squashed(*primals), tangents[0]))
    blame = blame_of(total(squashed), array(100, 1))
    assert (blame.source.text, blame.count) == ("grown = jnp.exp(x)", 1)
    assert "above 88.7" in blame.hint


@jax.custom_vjp
def halved(x):
    return x / 2


def halved_back(x, cotangent):
    scale = cotangent / x
    return (scale * x / 2,)


halved.defvjp(lambda x: (x / 2, x), halved_back)


@jax.custom_jvp
def doubled(x):
    return 2 * x


@doubled.defjvp
def doubled_slope(primals, tangents):
    slope = 2 * primals[0] / primals[0]
    return doubled(primals[0]), slope * tangents[0]


@pytest.mark.parametrize("f, line", [(halved, "scale ="), (doubled, "slope =")])
def test_the_line_inside_a_rule_is_found_by_every_entry_point(f, line):
    def loss(x):
        y = f(x)
        return y.sum()

    report: Any = jaxgrad.explain(loss)(array(0, 1))
    with pytest.raises(jaxgrad.NonFiniteError) as caught:
        jaxgrad.checked_value_and_grad(loss)(array(0, 1))
    blames: Any = report.nonfinite, caught.value.blame, blame_of(loss, array(0, 1))
    for blame in (*blames, blame_of(scanned(f), array(0, 1))):
        assert blame.source.text.startswith(line), str(blame)
        assert "0 / 0" in blame.hint or "division by 0" in blame.hint
    # A quotient in a rule is not the derivative of what it divides by.
    assert "sqrt" not in blames[0].hint


def test_a_rule_that_fails_does_not_lose_the_others(monkeypatch):
    def fail(case):
        raise ValueError("a rule failed")

    monkeypatch.setattr(
        "jaxgrad.inspection.faults.nonfinite.hints.rules.FORWARD", (fail, last)
    )
    with pytest.warns(jaxgrad.inspection.InspectionWarning, match="A hint is left out"):
        blame = blame_of(lambda x: jnp.log(x).sum(), array(0))
    assert (blame.hint, blame.step.operation) == ("the last rule.", "log")


def last(case):
    del case
    return Hint("the last rule")


class Tagger(nn.Module):
    @nn.compact
    def __call__(self, x, lengths):
        hidden = nn.RNN(nn.GRUCell(3))(x, seq_lengths=lengths)
        return nn.Dense(2)(hidden)


def test_what_a_library_moves_out_of_a_loop_is_not_named_after_a_later_variable():
    model, x, lengths = Tagger(), jnp.ones((2, 4, 1)), jnp.array([4, 1])
    params = model.init(jax.random.key(0), x, lengths)

    def loss(params):
        out = model.apply(params, x, lengths)
        return jnp.mean(out**2)  # pyright: ignore[reportOperatorIssue]

    names = [step.name for step in jaxgrad.explain(loss)(params).steps]
    assert names.count("out") == 1 and names.index("hidden") < names.index("out")
