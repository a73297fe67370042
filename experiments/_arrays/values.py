"""Arrays as values: creating, drawing, typing and adding them.

A JAX array never changes, is never uninitialised, needs a key to be random, and has
64 bits only under x64. Everything here that differs from torch follows from that.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._section import Section, also, error_of, warning_of
from experiments._statistics import Fit, fit, normal, sum_of_two_uniform, uniform


def matrix(text: str) -> np.ndarray:
    """Numbers as a notebook prints them, as float32 of shape (5, 3)."""
    return np.array(text.split(), np.float32).reshape(5, 3)


# Notebook 000 printed x = torch.rand(5, 3), then x + y with y = torch.rand(5, 3).
NOTEBOOK_X = matrix(
    "0.5246 0.8948 0.8550  0.0660 0.7591 0.6264  0.9002 0.4140 0.1190 "
    "0.6253 0.7102 0.8339  0.7086 0.9752 0.2164"
)
NOTEBOOK_SUM = matrix(
    "1.2505 1.2449 0.8633  0.4939 1.4918 1.5744  1.2365 1.0999 0.8417 "
    "1.1553 1.1960 1.3604  1.4752 1.9528 0.4506"
)
# The literal of notebook 003.
LITERAL = matrix(
    "0.2417 0.2270 0.5315  0.4860 0.9984 0.3871  0.4769 0.8593 0.2609 "
    "0.0173 0.1879 0.9608  0.1309 0.9766 0.6346"
)
DRAWS = 60_000  # how often each random array is drawn, to see its distribution
LONG = "dtype=torch.long"
TORCH_NAMES = {
    "bool": "torch.bool",
    "uint8": "torch.uint8",
    "int8": "torch.int8",
    "int16": "torch.int16, torch.short",
    "int32": "torch.int32, torch.int",
    "int64": "torch.int64, torch.long",
    "float16": "torch.float16, torch.half",
    "float32": "torch.float32, torch.float",
    "float64": "torch.float64, torch.double",
}


def creation() -> Section:
    """The notebooks' ways to create an array."""
    x, empty, ones = jnp.array(LITERAL), jnp.empty((5, 3)), jnp.ones((2, 2))
    with jax.enable_x64(True):
        longs = jnp.zeros((5, 3), jnp.int64)
        doubles = jnp.ones_like(x, dtype=jnp.float64)
    zeros, jax_zeros = f"torch.zeros(5, 3, {LONG})", "jnp.zeros((5, 3), jnp.int64)"
    new_ones = "x.new_ones(5, 3, dtype=torch.double)"
    ones_like, bits = "jnp.ones_like(x, dtype=jnp.float64)", 8 * longs.itemsize
    return Section(
        "Creating arrays",
        "torch.empty leaves whatever the memory held; jnp.empty returns zeros. A shape "
        "is one tuple in JAX, and torch's size() is shape. Lines marked x64 ran inside "
        "`with jax.enable_x64(True):`; without it there are no 64-bit numbers.",
        [
            ("torch.empty(5, 3)", "jnp.empty((5, 3))", empty),
            (zeros, f"x64: {jax_zeros}", longs),
            ("torch.ones(2, 2)", "jnp.ones((2, 2))", ones),
            ("y = x + 2", "y = x + 2", ones + 2),
            ("x = torch.tensor([[0.2417, ...", "x = jnp.array([[0.2417, ...", x),
            ("x.sum()", "x.sum()", x.sum()),
            ("x.size()", "x.shape", x.shape),
            ("x.numel()", "x.size", x.size),
            (new_ones, f"x64: {ones_like}", doubles),
            ("torch.full_like(x, 7)", "jnp.full_like(x, 7)", jnp.full_like(x, 7)),
        ],
        {
            "0.1": made(empty),
            "0.7": [ones, ones + 2],
            "3.1": {"empty": empty.shape},
            "3.2": {"zeros": made(longs), "bits": bits, "ones": made(doubles)},
            "3.3": {"dtype": x.dtype.name, "sum": x.sum(), "numbers": x},
        },
    )


def made(array: jax.Array) -> dict[str, Any]:
    """Shape, dtype and range of an array, in the form of the seed results."""
    values = np.asarray(array)  # outside x64 JAX would truncate 64-bit numbers
    return {
        "shape": values.shape,
        "dtype": values.dtype.name,
        "smallest": values.min().item(),
        "largest": values.max().item(),
    }


def drawing(key: jax.Array) -> Section:
    """The notebooks' random arrays, and the distribution of many such arrays."""
    draw_key, like_key, six_key = jax.random.split(key, 3)
    rands = drawn(jax.random.uniform, draw_key, (5, 3))
    likes = drawn(jax.random.normal, like_key, (5, 3))
    sixes = drawn(jax.random.normal, six_key, (6,))
    again = jax.random.uniform(jax.random.split(draw_key, DRAWS)[0], (5, 3))
    of_uniform = fit(rands, uniform)
    of_normal = [fit(numbers, normal) for numbers in (likes, sixes)]
    uniforms = made(rands[0]) | of_uniform._asdict()
    return Section(
        "Drawing random arrays",
        "torch draws from a hidden global state. jax.random takes a key, and the same "
        "key always gives the same numbers; split it to get new ones. The notebook "
        "calls rand a normal distribution: it is uniform on [0, 1); randn is normal. "
        "Kolmogorov: sqrt(n) times the largest distance from the distribution, which "
        "exceeds 2.7 once in a million.",
        [
            ("torch.rand(5, 3)", "jax.random.uniform(key, (5, 3))", rands[0]),
            also("equal when drawn with the same key", bool((rands[0] == again).all())),
            also("mean, variance, Kolmogorov", _rounded(of_uniform)),
            ("torch.randn_like(x)", "jax.random.normal(key, x.shape)", likes[0]),
            also("mean, variance, Kolmogorov", _rounded(of_normal[0])),
            ("torch.randn_like(x), x of 6", "jax.random.normal(key, (6,))", sixes[0]),
            also("mean, variance, Kolmogorov", _rounded(of_normal[1])),
        ],
        {
            "0.2": {"jax": uniforms},
            "3.1": {"rand": uniforms},
            "3.4": {
                "shapes": [likes[0].shape, sixes[0].shape],
                "dtypes": [likes.dtype.name, sixes.dtype.name],
                "(5, 3)": of_normal[0],
                "(6,)": of_normal[1],
            },
            "3.C2": [round(moment, 3) for moment in of_uniform[:2]],
        },
    )


def _rounded(found: Fit) -> list[float]:
    return [round(number, 4) for number in found]


def drawn(
    draw: Callable[..., jax.Array], key: jax.Array, shape: tuple[int, ...]
) -> jax.Array:
    """DRAWS arrays of this shape, each with a key of its own."""
    return jax.vmap(lambda key: draw(key, shape))(jax.random.split(key, DRAWS))


def dtypes() -> Section:
    """The nine element types: a NumPy array of each, given to JAX twice."""
    entries = []
    for name, pytorch in TORCH_NAMES.items():
        array = np.zeros(3, name)
        with jax.enable_x64(True):
            wide = jnp.asarray(array)
        narrow, back = jnp.asarray(array), np.asarray(wide).dtype.name
        bits = 8 * wide.itemsize
        entries.append((pytorch, back, bits, wide.dtype.name, narrow.dtype.name))
    signed = [back for _, back, *_ in entries if back in ("int16", "int32", "int64")]
    return Section(
        "Element types",
        "A NumPy array of each type is given to jnp.asarray. Without x64, the default, "
        "int64 and float64 silently lose half of their bits. torch.from_numpy keeps "
        "all nine types. The notebook says that NumPy's types for int16, int32 and "
        "int64 are unsigned: they are signed in all three libraries.",
        entries,
        {"3.11": [bits for _, _, bits, *_ in entries], "3.C3": signed},
        ("PyTorch", "NumPy", "bits", "JAX with x64", "JAX without"),
    )


def type_choices() -> Section:
    """The dtype of an array that was created without one."""
    numbers, ones = [1, 2, 3, 4, 5, 6], np.ones(5)
    with jax.enable_x64(True):
        longs, doubles = jnp.array(numbers), jnp.asarray(ones)
    floats = jnp.array(numbers, jnp.float32)
    fractions = jnp.array([float(n) for n in numbers])
    fetched = np.asarray(jnp.ones(5))
    kind = type(fetched).__name__
    asked = warning_of(lambda: jnp.zeros(3, jnp.int64))
    of_six, jax_of_six = "([1, ..., 6])", "jnp.array([1, ..., 6]"
    return Section(
        "The default type of an array",
        "torch uses 64 bits for Python's integers and keeps NumPy's types. JAX does "
        "so only under x64 (JAX_ENABLE_X64=1 sets it for a whole program). Without "
        "it, asking for int64 warns; passing a 64-bit array does not.",
        [
            (f"torch.tensor{of_six}", f"x64: {jax_of_six})", longs),
            also("its sum, outside x64", warning_of(lambda: longs.sum())),
            also("created without x64", jnp.array(numbers)),
            (f"torch.FloatTensor{of_six}", f"{jax_of_six}, jnp.float32)", floats),
            (f"torch.Tensor{of_six}", "jnp.array([1., ..., 6.])", fractions),
            ("torch.from_numpy(np.ones(5))", "x64: jnp.asarray(np.ones(5))", doubles),
            also("without x64, silently", jnp.asarray(ones)),
            ("torch.ones(5).numpy()", "np.asarray(jnp.ones(5))", fetched),
            also("its Python type", kind),
            (f"torch.zeros(3, {LONG})", "jnp.zeros(3, jnp.int64)", asked),
        ],
        {
            "0.6": {
                "to numpy": fetched,
                "types": [fetched.dtype.name, kind, doubles.dtype.name],
                "from numpy": np.asarray(doubles),
            },
            "3.5": [array.dtype.name for array in (longs, floats, fractions)],
        },
    )


def addition(key: jax.Array) -> Section:
    """The notebook's four ways to add, on the numbers it printed and on drawn ones."""
    x = jnp.asarray(NOTEBOOK_X)
    y = jnp.asarray(NOTEBOOK_SUM) - x
    forms, reused, gone = four_forms(x, y)
    out: Any = {"out": x}  # NumPy's argument, which JAX refuses
    refused = error_of(lambda: jnp.add(x, y, **out))
    x_key, y_key = jax.random.split(key)
    xs, ys = (drawn(jax.random.uniform, k, (5, 3)) for k in (x_key, y_key))
    sums, names = xs + ys, ("x + y", "add", "out", "add_")
    equal, drawn_equal = as_numpy(forms, x, y), as_numpy(four_forms(xs, ys)[0], xs, ys)
    return Section(
        "Four ways to add",
        "torch can write a sum into an existing array: out=result, y.add_(x). JAX "
        "arrays are immutable, so every form returns a new array. Memory is reused "
        "only if an argument is donated; it cannot be used afterwards.",
        [
            ("x = torch.rand(5, 3)", "the numbers printed in notebook 000", x),
            ("y = torch.rand(5, 3)", "the printed x + y, minus x", y),
            ("x + y", "x + y", forms[0]),
            ("torch.add(x, y)", "jnp.add(x, y)", forms[1]),
            ("torch.add(x, y, out=result)", "jnp.add(x, y, out=result)", refused),
            also("jax.jit(jnp.add, donate_argnums=0)(y, x)", forms[2]),
            also("the result has the memory of y", reused),
            also("y afterwards", gone),
            ("y.add_(x)", "y = y.at[:].add(x)", forms[3]),
            also("each equal to NumPy's sum, bit for bit", equal),
            ("rand(5, 3) + rand(5, 3)", "the same with JAX's own draws", sums[0]),
            also("each equal to NumPy's sum, bit for bit", drawn_equal),
        ],
        {
            "0.2": {"notebook": x},
            "0.3": {
                "notebook": y,
                "jax": made(sums[0]) | fit(sums, sum_of_two_uniform)._asdict(),
            },
            "0.4": {"sum": forms[0], "as NumPy": dict(zip(names, equal, strict=True))},
            "3.6": dict(zip(names, drawn_equal, strict=True)),
        },
    )


def four_forms(x: jax.Array, y: jax.Array) -> tuple[tuple[jax.Array, ...], bool, str]:
    """The sums; whether the third has the memory of y; the error of y afterwards."""
    own_y = jnp.copy(y)
    memory = own_y.unsafe_buffer_pointer()
    # Donation is XLA's "in place": the result reuses the argument's memory.
    donated = jax.jit(jnp.add, donate_argnums=0)(own_y, x)
    reused = donated.unsafe_buffer_pointer() == memory
    forms = (x + y, jnp.add(x, y), donated, y.at[:].add(x))
    return forms, reused, error_of(lambda: own_y + 1)


def as_numpy(sums: Iterable[jax.Array], x: jax.Array, y: jax.Array) -> list[bool]:
    """Whether each is NumPy's x + y, bit for bit."""
    expected = np.asarray(x) + np.asarray(y)
    return [np.array_equal(np.asarray(found), expected) for found in sums]
