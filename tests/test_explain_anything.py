"""Whatever jax.grad accepts is explained, with its numbers and no false alarm."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxgrad import checked_value_and_grad, explain, find_nonfinite

X = jnp.array([0.3, -0.7, 1.2, 0.5], jnp.float32)
W = jnp.arange(16, dtype=jnp.float32).reshape(4, 4) / 16 - 0.4
PROGRAMS = {}


def program(f):
    PROGRAMS[f.__name__] = f
    return f


def mesh():
    return Mesh(np.array(jax.devices()[:1]), ("d",))


@jax.custom_vjp
def tripled(x, y):
    return x * y


tripled.defvjp(lambda x, y: (x * y, y), lambda y, g: (3 * g * y, None))


@program
def two_statements_on_a_line(x):
    a = jnp.sin(x); b = jnp.cos(a); return (a * b).sum()  # noqa: E702  # fmt: skip


@program
def comprehensions_and_generators(x):
    squares = (u**2 for u in x)
    return sum(squares) + sum([jnp.sin(u) for u in x]) + sum(map(jnp.cos, x))


@program
def functions_in_functions(x):
    def recurse(v, n):
        return v if n == 0 else recurse(jnp.sin(v) * x, n - 1)

    return (lambda a: (lambda b: b * a)(recurse(a, 3)))(x).sum()


@program
def methods_attributes_and_walrus(x):
    class Layer:
        def __init__(self, w):
            self.w = w

        def __call__(self, x):
            self.seen = x @ self.w
            return self.seen

    return (h := Layer(W)(x)).sum() * h[0]


@program
def augmented_and_unpacked(x):
    y = x
    y *= 2
    y @= W
    a, *_, b = y
    (c, d), e = jnp.split(x, 2), 1.0
    return a * b + (c * d).sum() * e


@program
def while_loop(x):
    i, scale = lax.while_loop(
        lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 2), (0, jnp.float32(1))
    )
    return x.sum() * scale + jnp.asarray(i, x.dtype)


@program
def newton_under_vmap(x):
    def root(a):
        return lax.while_loop(
            lambda c: jnp.abs(c * c - a) > 1e-3, lambda c: (c + a / c) / 2, a + 1
        )

    return (jax.vmap(root)(lax.stop_gradient(jnp.abs(x))) * x).sum()


@program
def counted_loops(x):
    n = lax.fori_loop(0, jnp.argmax(x), lambda i, c: c + i, 1)
    looped = lax.fori_loop(0, 4, lambda i, c: jnp.sin(c) * x, x)
    return looped.sum() * jnp.asarray(n, x.dtype)


@program
def scans(x):
    up, rows = lax.scan(lambda c, u: (c * u + u, (c, u)), x[0], x, reverse=True)
    none, _ = lax.scan(lambda c, _: (jnp.sin(c), None), x, None, length=3, unroll=2)
    (_, count), _ = lax.scan(lambda c, u: ((c[0] * u, c[1] + 1), None), (up, 0), x)
    empty, _ = lax.scan(lambda c, u: (c, u * 2), x, jnp.zeros((3, 0)))
    return rows[0].sum() + (none * empty).sum() + jnp.asarray(count, x.dtype)


@program
def a_loop_in_a_branch_in_a_loop(x):
    def body(c, u):
        def looped(v):
            return lax.scan(lambda a, b: (a * b, a), v, x)[0]

        def branched(v):
            return lax.cond(v > 1, jnp.sin, jnp.cos, v)

        d = lax.cond(u > 0, looped, branched, c)
        return d + u, d

    c, ds = lax.scan(body, x[0], x)
    return c + ds.sum()


@program
def branches(x):
    a = lax.cond(x[0] > 0, lambda: x.sum(), lambda: jnp.zeros((), x.dtype))
    b = lax.cond(True, lambda v: v, lambda v: v, x)
    c = jax.vmap(lambda u: lax.cond(u > 0, jnp.sin, lambda v: v * 2, u))(x)
    return a + (b * c).sum()


@program
def scans_and_maps(x):
    squares = lax.map(lambda u: jnp.sin(u) * u, x, batch_size=3)
    return lax.associative_scan(lambda a, b: a * b + a, x).sum() + squares.sum()


@program
def complex_intermediates(x):
    z = jnp.exp(lax.complex(jnp.zeros_like(x), x))
    return jnp.abs(jnp.sum(z * z)) ** 2 + jnp.abs(jnp.fft.fft(x)).sum()


@program
def random_keys(x):
    def body(carry, u):
        value, key = carry
        key, sub = jax.random.split(key)
        return (value * u + jax.random.normal(sub), key), value

    key = jax.random.key(1)
    key = lax.cond(x[0] > 0, lambda k: jax.random.split(k)[0], lambda k: k, key)
    (value, _), _ = lax.scan(body, (x[0], key), x)
    kept = jax.random.bernoulli(jax.random.PRNGKey(0), 0.5, x.shape)
    return value + jnp.where(kept, x, 0).sum()


@program
def integers_and_booleans(x):
    order, mask = jnp.argsort(x), x > 0
    count = (mask & ~mask | mask).sum()
    bits = lax.bitcast_convert_type(x, jnp.int32) % 7
    chosen = jnp.where(mask, x[order], 0) * bits.astype(x.dtype)
    return chosen.sum() / count.astype(x.dtype)


@program
def callbacks(x):
    jax.debug.callback(lambda a: None, x)
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return (jax.pure_callback(np.sin, shape, lax.stop_gradient(x)) * x).sum()


@program
def custom_rules(x):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def applied(f: Any, v: Any) -> Any:
        return f(v)

    applied.defvjp(lambda f, v: (f(v), v), lambda f, v, g: (3 * g,))
    squared: Any = jax.custom_gradient(lambda v: (v**2, lambda g: g * 5 * v))

    looped, _ = lax.scan(lambda c, u: (tripled(c, u), None), x[0], x)
    result: Any = applied(jnp.sin, x)
    return result.sum() + squared(x).sum() + looped


@program
def rematerialised(x):
    policy = jax.checkpoint_policies.dots_saveable
    f = jax.checkpoint(lambda v: jnp.sin(v @ W) @ W, policy=policy)
    g = jax.checkpoint(lambda v, n: jnp.sin(v) ** n, static_argnums=(1,))
    body = jax.checkpoint(lambda c, u: (jnp.tanh(c * u), c))
    return f(x).sum() + g(x, 3).sum() + lax.scan(body, x[0], x)[1].sum()


@program
def gradients_inside(x):
    def inner(v):
        return lax.scan(lambda c, u: (jnp.sin(c * u), c), v[0], v)[0]

    second = jax.grad(jax.grad(lambda v: jnp.sin(v) ** 3))(x[0])
    hessian = jax.hessian(lambda v: jnp.prod(jnp.sin(v)))(x)
    return jax.grad(inner)(x).sum() + second + jnp.trace(hessian)


@program
def derivatives_by_hand(x):
    pushed = jax.jvp(lambda v: jnp.sin(v) ** 2, (x,), (x,))[1]
    y, pull = jax.vjp(lambda v: jnp.sin(v) ** 2, x)
    z, linear = jax.linearize(jnp.cos, x)
    back = jax.linear_transpose(lambda v: v @ W, x)(x)[0]
    return (pushed + pull(y)[0] + linear(z) + back).sum()


@program
def training_inside(x):
    def loss(w, u):
        return jnp.sum((w * u - 1) ** 2)

    def step(w, u):
        value, gradient = jax.value_and_grad(loss)(w, u)
        return w - 0.1 * gradient, value

    return lax.scan(step, x, x)[1].sum()


@program
def jitted_functions(x):
    double = jax.jit(lambda v: (v * 2, v * 2), donate_argnums=0)
    power = jax.jit(lambda v, n: v**n, static_argnames="n")
    keywords = jax.jit(lambda *, v, w=None: v if w is None else v * w)
    same, nothing = jax.jit(lambda v, u: (v, 3.0))(x, W)
    a, b = double(jnp.sin(x))
    return (a * b + power(x, n=2) + keywords(v=same, w=x)).sum() * nothing


@program
def solvers(x):
    a = jnp.outer(x, x) + 3 * jnp.eye(4, dtype=x.dtype)
    lower, values = jnp.linalg.cholesky(a), jnp.linalg.eigvalsh(a * W * W.T)
    return jnp.linalg.solve(a, x).sum() + lower.sum() + values.max()


@program
def sharded(x):
    place = NamedSharding(mesh(), P("d"))
    mapped = jax.shard_map(
        lambda v: lax.psum(jnp.sin(v), "d"),
        mesh=mesh(),
        in_specs=P("d"),
        out_specs=P(None),
    )
    y = jax.jit(lambda v: v * 2, in_shardings=place, out_shardings=place)(x)
    return (mapped(x) * lax.with_sharding_constraint(y, place)).sum()


@program
def named_axes(x):
    return jax.vmap(lambda u: lax.psum(u, "i") * u, axis_name="i")(x).sum()


@program
def indexing(x):
    i = jnp.argmin(x)
    y = lax.dynamic_update_slice(x, lax.dynamic_slice(x, (i,), (2,)), (i,))
    z = x.at[jnp.array([0, 0, 1])].add(x[:3]).at[2].set(1.0).at[3].multiply(2.0)
    keys, values = lax.sort_key_val(x, x * x)
    return (y * z).sum() + (keys * values).sum() + lax.top_k(x, 2)[0].sum()


@program
def windows_and_segments(x):
    pooled = lax.reduce_window(x, -jnp.inf, lax.max, (2,), (1,), "VALID")
    sums = jax.ops.segment_sum(x, jnp.array([0, 0, 1, 1]), 2)
    return pooled.sum() * sums[0] + jnp.convolve(x, x[:2]).sum() + jnp.median(x)


@program
def other_precisions(x):
    half = x.astype(jnp.float16) * x.astype(jnp.bfloat16).astype(jnp.float16)
    eighth = x.astype(jnp.float8_e4m3fn).astype(x.dtype)
    return (half.astype(x.dtype) * eighth).sum()


@program
def empty_arrays(x):
    return (jnp.sin(x[:0]) * 2).sum() + jnp.concatenate([x, x[:0]]).sum()


@program
def a_masked_singularity(x):
    return jnp.where(x > 0, jnp.log(jnp.where(x > 0, x, 1.0)), 0.0).sum()


@program
def code_without_a_file(x):
    scope: dict[str, Any] = {"jnp": jnp}
    exec("def g(v):\n  a = jnp.sin(v)\n  return a * 2", scope)
    return scope["g"](x).sum() + eval("x.sum()", {"x": x})


@program
def a_constant(x):
    return jnp.float32(3.0)


@program
def the_argument_itself(x):
    return x[0]


@program
def values_in_python(x):
    return (x * 2).sum() if x[0] > 0 else x.sum()


@program
def mutable_arrays(x):
    reference = jax.new_ref(x)
    reference[...] = reference[...] * 2
    return reference[...].sum()


PYTHON_DECIDES = {"values_in_python"}


def same(report, expected, exactly=False):
    value, gradients = report.value, report.gradients
    assert jax.tree.structure(gradients) == jax.tree.structure(expected[1])
    for ours, theirs in zip(
        jax.tree.leaves((value, gradients)), jax.tree.leaves(expected), strict=True
    ):
        assert jnp.result_type(ours) == jnp.result_type(theirs)
        if exactly:
            np.testing.assert_array_equal(ours, theirs)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


LONG = (
    "gradients_inside random_keys scans_and_maps solvers windows_and_segments".split()
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in LONG else [])
        for name in PROGRAMS
    ],
)
def test_what_jax_differentiates_is_explained(name):
    f = PROGRAMS[name]
    report = explain(f)(X)
    derivative = jax.value_and_grad(f)
    if name not in PYTHON_DECIDES:
        derivative = jax.jit(derivative)
    same(report, derivative(X))
    assert bool(report.note) == (name in PYTHON_DECIDES)
    assert str(report)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.by_hand if i % 2 else [])
        for i, name in enumerate(sorted(PROGRAMS))
    ],
)
def test_also_at_any_depth_in_summary_and_op_by_op_and_it_is_no_blame(name):
    f = PROGRAMS[name]
    expected = jax.value_and_grad(f)(X)
    for depth in ("library", "primitive"):
        same(explain(f, depth=depth)(X), expected)
    same(explain(f, keep="summary")(X), expected)
    with jax.disable_jit():
        # An argument that a jitted function gives back has two names in the trace:
        # the parts of its gradient are added in another order.
        exactly = name != "jitted_functions"
        same(explain(f)(X), jax.value_and_grad(f)(X), exactly)
    assert find_nonfinite(f)(X) is None


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Params:
    w: Any
    power: int = dataclasses.field(metadata={"static": True}, default=2)


def weighted(params, x, scale=1.0, power=1):
    return ((params["w"] @ x) ** power).sum() * scale + params["b"][1]


def powers(params):
    return (params.w**params.power).sum()


def with_aux(x):
    return jnp.sin(x).sum(), {"name": "sines", "count": 3, "all": x * 2, "none": None}


PARAMS = {"w": W, "b": [None, jnp.float32(2.0)]}
CALLS = {
    "keywords": (weighted, {}, (PARAMS, X), {"scale": 0.5, "power": 2}),
    "several arguments": (weighted, {"argnums": (1, 0)}, (PARAMS, X), {}),
    "a list of arguments": (weighted, {"argnums": [0]}, (PARAMS, X), {}),
    "from the end": (weighted, {"argnums": -1}, (PARAMS, X), {}),
    "a dataclass": (powers, {}, (Params(X, 3),), {}),
    "further results": (with_aux, {"has_aux": True}, (X,), {}),
    "a Python float": (lambda x: x * x, {}, (1.5,), {}),
    "a NumPy float": (lambda x: jnp.sin(x) * x, {}, (np.float32(1.5),), {}),
    "a NumPy array": (lambda x: jnp.sin(x).sum(), {}, (np.ones(3, np.float32),), {}),
    "no elements": (lambda x: (jnp.sin(x) * 2).sum(), {}, (jnp.zeros((0, 3)),), {}),
    "half precision": (lambda x: (x * x).sum(), {}, (X.astype(jnp.float16),), {}),
    "a library function": (jax.nn.logsumexp, {}, (X,), {}),
    "a jitted function": (jax.jit(lambda x: jnp.sin(x).sum()), {}, (X,), {}),
    "a partial": (functools.partial(weighted, PARAMS), {}, (X,), {"power": 2}),
    "a key": (lambda x, k: x * jax.random.normal(k), {}, (1.0, jax.random.key(0)), {}),
}


@pytest.mark.parametrize("name", CALLS)
def test_any_call_of_value_and_grad_is_a_call_of_explain(name):
    f, options, args, kwargs = CALLS[name]
    expected = jax.value_and_grad(f, **options)(*args, **kwargs)
    report = explain(f, **options)(*args, **kwargs)
    aux = options.get("has_aux", False)
    if aux:
        assert report.value[1].keys() == expected[0][1].keys()
        assert report.value[1]["name"] == "sines"
        np.testing.assert_array_equal(report.value[1]["all"], expected[0][1]["all"])
        report = dataclasses.replace(report, value=report.value[0])
        expected = (expected[0][0], expected[1])
    same(report, expected)
    assert report.note == ""
    assert find_nonfinite(f, aux)(*args, **kwargs) is None


def test_the_check_takes_the_calls_that_jit_takes():
    for name in ("several arguments", "a list of arguments", "a dataclass", "a key"):
        f, options, args, kwargs = CALLS[name]
        value, gradients = checked_value_and_grad(f, **options)(*args, **kwargs)
        expected = jax.value_and_grad(f, **options)(*args, **kwargs)
        np.testing.assert_allclose(value, expected[0], rtol=1e-5)
        assert jax.tree.structure(gradients) == jax.tree.structure(expected[1])
