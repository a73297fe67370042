"""Twenty-odd ways to make a NaN, each in five surroundings: the right line in all."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgrad.inspection import find_nonfinite

nan, inf = float("nan"), float("inf")
TRAPS = {}


def trap(
    bad,
    good=(0.3, 0.4, 0.5),
    phases=("forward", "backward"),
    dtype=jnp.float32,
    rule=None,
):
    """Register a trap: the line marked `# here` is to blame for the argument `bad`.

    With a derivative `rule` the marked line there may be blamed, or the call: of a
    gradient that is taken inside, JAX keeps only the line of the call.
    """

    def register(f):
        arguments = (jnp.asarray(bad, dtype), jnp.asarray(good, dtype))
        lines = [marked(each) for each in (rule, f) if each]
        TRAPS[f.__name__] = (f, *arguments, lines, phases)
        return f

    return register


def marked(f):
    """The line of a function that is marked `# here`."""
    lines, first = inspect.getsourcelines(f)
    (line,) = (first + i for i, text in enumerate(lines) if "# here" in text)
    return line


@trap(bad=(0.3, 0.0, 0.5))
def where_sqrt(x):
    root = jnp.sqrt(x)  # here
    return jnp.where(x > 0, root, 0.0).sum()


@trap(bad=(0.0, 0.0, 0.0))
def norm_at_zero(x):
    y = 2 * x
    return jnp.linalg.norm(y)  # here


@trap(bad=(0.3, 0.0, 0.5))
def log_times_zero(x):
    logs = jnp.log(x)  # here
    return (0.0 * logs).sum()


@trap(bad=(0.3, 200.0, 0.5))
def exp_overflow(x):
    large = jnp.exp(x)  # here
    return (large / (1 + large)).sum()


@trap(bad=(0.3, 200.0, 0.5))
def where_exp(x):
    grown = jnp.exp(x)  # here
    return jnp.where(x < 80, grown, x).sum()


@trap(bad=(0.3, 0.0, 0.5))
def quotient_at_zero(x):
    one = x / x  # here
    return one.sum()


@trap(bad=(0.3, 0.0, 0.5))
def scan_body(x):
    def body(carry, u):
        carry = carry / u  # here
        return carry, carry

    return jax.lax.scan(body, jnp.ones((), x.dtype), x)[1].sum()


@trap(bad=(-0.3, 0.4, 0.5))
def cond_branch(x):
    return jax.lax.cond(
        x.sum() > 0.7,
        lambda v: v.sum(),
        lambda v: jnp.log(v).sum(),  # here
        x,
    )


@trap(bad=(0.3, 0.0, 0.5))
def root_alone(x):
    return jnp.sqrt(x).sum()  # here


@trap(bad=(2.0, 2.0, 2.0))
def std_of_constant(x):
    centred = x - 1
    return jnp.std(centred)  # here


@trap(bad=(0.3, 1.0, 0.5))
def arccos_at_one(x):
    angle = jnp.arccos(x)  # here
    return angle.sum()


@trap(bad=(0.3, 1.5, 0.5))
def arcsin_outside(x):
    return jnp.arcsin(x).sum()  # here


@trap(bad=(0.3, 0.0, 0.5))
def root_as_power(x):
    return (x**0.5).sum()  # here


@trap(bad=(0.3, -0.2, 0.5))
def power_of_negative(x):
    raised = x**1.5  # here
    return raised.sum()


@trap(bad=(-1.0, -2.0, -3.0))
def logsumexp_of_masked(x):
    masked = jnp.where(x > 0, x, -jnp.inf)  # here
    return jax.nn.log_softmax(masked)[0]


@trap(bad=(300.0, 3.0, 2.0), dtype=jnp.float16)
def float16_overflow(x):
    squared = x * x * x  # here
    return squared.sum()


@trap(bad=(0.3, 0.0, 0.5))
def division_in_vmap(x):
    return jax.vmap(lambda u: 1 / u)(x).sum()  # here


def doubled_back(x, g):
    return (jnp.where(x > 0, 2 * g, jnp.nan * g),)  # here


@jax.custom_vjp
def doubled(x):
    return 2 * x


doubled.defvjp(lambda x: (2 * x, x), doubled_back)


@trap((0.3, -0.4, 0.5), phases=("backward", "forward", "constant"), rule=doubled_back)
def custom_vjp_rule(x):
    y = doubled(x)  # here
    return y.sum()


@trap(bad=(0.3, 0.0, 0.5))
def benign_beside_the_fault(x):
    logs = jnp.where(x > 10, jnp.log(x - 20), 0.0)
    return (logs + 1 / x).sum()  # here


@trap(bad=(0.3, 0.0, 0.5))
def checkpointed(x):
    def inner(v):
        return jnp.log(v)  # here

    return (jax.checkpoint(inner)(x) * 1.0).sum()


@trap(bad=(0.3, 0.0, 0.5))
def atan2_at_origin(x):
    angle = jnp.arctan2(x, x)  # here
    return angle.sum()


@trap(bad=(0.3, -1.0, 0.5))
def log1p_at_its_end(x):
    return jnp.log1p(x).sum()  # here


@trap(bad=(3e38, 3e38, 1.0))
def sum_overflow(x):
    total = x.sum()  # here
    return total * 0.5


@trap(bad=(0.0, 0.0, 0.0))
def normalised_by_own_norm(x):
    unit = x / jnp.sqrt(jnp.sum(x**2))  # here
    return unit[0]


@trap(bad=(0.3, 0.0, 0.5))
def fori_loop_body(x):
    def body(i, total):
        return total + jnp.sqrt(x[i])  # here

    return jax.lax.fori_loop(0, 3, body, jnp.zeros((), x.dtype))


@trap(bad=(1.0, 0.4, 0.5))
def bernoulli_likelihood(x):
    return -jnp.log(1 - x).sum()  # here


@trap(bad=(0.3, 0.0, 0.5))
def hidden_in_helper(x):
    def helper(v):
        return jnp.reciprocal(v)  # here

    total = jax.jit(helper)(x)
    return total.sum()


def scanned(f):
    def over(xs):
        def body(total, x):
            return total + f(x), None

        return jax.lax.scan(body, jnp.zeros((), xs.dtype), xs)[0]

    return over


# What is called, and whether the argument is a batch of three with the bad one second.
SURROUNDINGS = {
    "eager": (lambda f: f, False),
    "jit(value and grad)": (lambda f: jax.jit(jax.value_and_grad(f)), False),
    "grad(jit)": (lambda f: jax.grad(jax.jit(f)), False),
    "vmap": (lambda f: lambda xs: jax.vmap(f)(xs).sum(), True),
    "scan": (scanned, True),
}


def outputs_of(function, x, name):
    """All that must be finite: the outputs, and the gradient of a scalar."""
    if name in ("eager", "vmap", "scan"):
        return jax.value_and_grad(function)(x)
    return function(x)


QUICK = ("eager", "jit(value and grad)", "vmap", "scan")


@pytest.mark.parametrize(
    "surrounding",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in SURROUNDINGS
    ],
)
@pytest.mark.parametrize("name", TRAPS)
def test_the_line_is_found_and_nothing_else_alarms(name, surrounding):
    f, bad, good, lines, phases = TRAPS[name]
    wrap, batched = SURROUNDINGS[surrounding]
    function = wrap(f)
    x = jnp.stack([good, bad, good]) if batched else bad
    fine = jnp.stack([good, good, good]) if batched else good

    assert find_nonfinite(function)(fine) is None
    blame = find_nonfinite(function)(x)
    leaves = jax.tree.leaves(outputs_of(function, x, surrounding))
    if all(np.isfinite(leaf).all() for leaf in leaves):
        assert blame is None
        return
    assert blame is not None
    assert blame.source is not None and blame.step is not None
    assert blame.source.line in lines, str(blame)
    assert blame.step.source.line == lines[-1]
    assert blame.phase in phases or blame.phase == "constant"
    assert blame.count > 0 and blame.hint
    if surrounding == "scan":
        assert blame.iteration is not None
        assert np.ravel(blame.iteration)[0] == 1
