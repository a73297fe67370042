"""Arrays as values: made, drawn, typed, added.

A JAX array never changes, has no uninitialised memory, draws no number without a
key, and has 64 bits only under x64: these four facts are every difference to torch's
tensor in this file.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments._facts import Fact, Section, refusal, warning_of

# Notebook 000 printed x = torch.rand(5, 3), then x + y with y = torch.rand(5, 3).
NOTEBOOK_X = np.array(
    [
        [0.5246, 0.8948, 0.8550],
        [0.0660, 0.7591, 0.6264],
        [0.9002, 0.4140, 0.1190],
        [0.6253, 0.7102, 0.8339],
        [0.7086, 0.9752, 0.2164],
    ],
    np.float32,
)
NOTEBOOK_SUM = np.array(
    [
        [1.2505, 1.2449, 0.8633],
        [0.4939, 1.4918, 1.5744],
        [1.2365, 1.0999, 0.8417],
        [1.1553, 1.1960, 1.3604],
        [1.4752, 1.9528, 0.4506],
    ],
    np.float32,
)
# The literal of notebook 003.
LITERAL = [
    [0.2417, 0.2270, 0.5315],
    [0.4860, 0.9984, 0.3871],
    [0.4769, 0.8593, 0.2609],
    [0.0173, 0.1879, 0.9608],
    [0.1309, 0.9766, 0.6346],
]
DRAWS = 100_000


def creation() -> Section:
    """The notebooks' ways to make an array."""
    x = jnp.array(LITERAL)
    with jax.enable_x64(True):
        longs = jnp.zeros((5, 3), jnp.int64)
        doubles = jnp.ones_like(x, dtype=jnp.float64)
    entries = {
        "empty": Fact("torch.empty(5, 3)", "jnp.empty((5, 3))", jnp.empty((5, 3))),
        "zeros": Fact(
            "torch.zeros(5, 3, dtype=torch.long)",
            "x64: jnp.zeros((5, 3), jnp.int64)",
            longs,
        ),
        "ones": Fact("torch.ones(2, 2)", "jnp.ones((2, 2))", jnp.ones((2, 2))),
        "ones + 2": Fact("y = x + 2", "y = x + 2", jnp.ones((2, 2)) + 2),
        "literal": Fact(
            "x = torch.tensor([[0.2417, ...", "x = jnp.array([[0.2417, ...", x
        ),
        "literal sum": Fact("x.sum()", "x.sum()", x.sum()),
        "shape": Fact("x.size()", "x.shape", x.shape),
        "size": Fact("x.numel()", "x.size", x.size),
        "new_ones": Fact(
            "x.new_ones(5, 3, dtype=torch.double)",
            "x64: jnp.ones_like(x, dtype=jnp.float64)",
            doubles,
        ),
        "full_like": Fact(
            "torch.full_like(x, 7)", "jnp.full_like(x, 7)", jnp.full_like(x, 7)
        ),
    }
    return Section(
        "Making arrays",
        "torch.empty leaves whatever the memory held; jnp.empty is zeros. A shape is "
        "one tuple in JAX, and torch's size() is shape. Lines marked x64 ran inside "
        "`with jax.enable_x64(True):`, without which there are no 64-bit numbers.",
        entries,
    )


def drawing(key: jax.Array) -> Section:
    """The notebooks' random arrays, and the moments of what they are drawn from."""
    uniform, normal = jax.random.uniform, jax.random.normal
    draw_key, many_key, like_key, six_key, last_key = jax.random.split(key, 5)
    first, again = uniform(draw_key, (5, 3)), uniform(draw_key, (5, 3))
    entries = {
        "rand": Fact("torch.rand(5, 3)", "jax.random.uniform(key, (5, 3))", first),
        "same key": Fact(
            "", "    the same key once more", bool((first == again).all())
        ),
        "rand moments": Fact(
            "", f"    mean, variance of {DRAWS}", _moments(uniform(many_key, (DRAWS,)))
        ),
        "randn_like": Fact(
            "torch.randn_like(x)",
            "jax.random.normal(key, x.shape)",
            normal(like_key, (5, 3)),
        ),
        "randn_like 6": Fact(
            "torch.randn_like(x), x of 6",
            "jax.random.normal(key, (6,))",
            normal(six_key, (6,)),
        ),
        "randn moments": Fact(
            "", f"    mean, variance of {DRAWS}", _moments(normal(last_key, (DRAWS,)))
        ),
    }
    return Section(
        "Drawing random arrays",
        "torch draws from a hidden global state; jax.random takes a key, and one key "
        "gives the same numbers for ever: split it for new ones. The notebook calls "
        "rand a normal distribution: it is uniform on [0, 1); randn is normal.",
        entries,
    )


def _moments(numbers: jax.Array) -> np.ndarray:
    exact = np.asarray(numbers, np.float64)
    return np.array([exact.mean(), exact.var()])


class DType(NamedTuple):
    """One row of the notebook's table of element types."""

    pytorch: str
    numpy: str
    bits: int
    jax_with_x64: str
    jax_without: str


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


def dtypes() -> Section:
    """The nine element types: a NumPy array of each, handed to JAX twice."""
    return Section(
        "Element types",
        "A NumPy array of each type is given to jnp.asarray. Without double precision "
        "(the default) int64 and float64 lose half of their bits, and nothing is "
        "said. torch.from_numpy keeps all nine. The notebook gives int16, int32 and "
        "int64 unsigned NumPy types: they are signed in all three libraries.",
        {name: _dtype(name, pytorch) for name, pytorch in TORCH_NAMES.items()},
    )


def _dtype(name: str, pytorch: str) -> DType:
    array = np.zeros(3, name)
    with jax.enable_x64(True):
        wide = jnp.asarray(array)
    with jax.enable_x64(False):
        narrow = jnp.asarray(array)
    back = np.asarray(wide)
    return DType(
        pytorch, back.dtype.name, 8 * wide.itemsize, wide.dtype.name, narrow.dtype.name
    )


def type_choices() -> Section:
    """Which type an array gets that was not told its type."""
    numbers = [1, 2, 3, 4, 5, 6]
    ones = np.ones(5)
    with jax.enable_x64(True):
        longs, doubles = jnp.array(numbers), jnp.asarray(ones)
    entries = {
        "tensor": Fact(
            "torch.tensor([1, ..., 6])", "x64: jnp.array([1, ..., 6])", longs
        ),
        "outside": Fact("", "    its sum outside x64", warning_of(lambda: longs.sum())),
        "narrow": Fact("", "    made without x64", jnp.array(numbers)),
        "FloatTensor": Fact(
            "torch.FloatTensor([1, ..., 6])",
            "jnp.array([1, ..., 6], jnp.float32)",
            jnp.array(numbers, jnp.float32),
        ),
        "Tensor": Fact(
            "torch.Tensor([1, ..., 6])",
            "jnp.array([1., ..., 6.])",
            jnp.array([float(n) for n in numbers]),
        ),
        "from_numpy": Fact(
            "torch.from_numpy(np.ones(5))", "x64: jnp.asarray(np.ones(5))", doubles
        ),
        "from_numpy narrow": Fact("", "    without x64, silently", jnp.asarray(ones)),
        "numpy": Fact("torch.ones(5).numpy()", "np.asarray(jnp.ones(5))", _numpy()),
        "numpy type": Fact("", "    its Python type", type(_numpy()).__name__),
        "truncated": Fact(
            "torch.zeros(3, dtype=torch.long)",
            "jnp.zeros(3, jnp.int64)",
            warning_of(lambda: jnp.zeros(3, jnp.int64)),
        ),
    }
    return Section(
        "Which type an array gets",
        "torch takes 64 bits for Python's integers and keeps NumPy's type; JAX does "
        "so only under x64 (JAX_ENABLE_X64=1 sets it for a whole program). Asking for "
        "int64 by name without it warns; handing over a 64-bit array does not.",
        entries,
    )


def _numpy() -> np.ndarray:
    return np.asarray(jnp.ones(5))


def addition(key: jax.Array) -> Section:
    """The notebook's four ways to add, on the numbers it printed."""
    x = jnp.asarray(NOTEBOOK_X)
    y = jnp.asarray(NOTEBOOK_SUM) - x
    own_y = jnp.copy(y)
    memory = own_y.unsafe_buffer_pointer()
    # Donation is XLA's "in place": the result takes over the argument's memory.
    in_memory_of_y = jax.jit(jnp.add, donate_argnums=0)(own_y, x)
    forms = (x + y, jnp.add(x, y), in_memory_of_y, y.at[:].add(x))
    x_key, y_key = jax.random.split(key)
    drawn = jax.random.uniform(x_key, (5, 3)) + jax.random.uniform(y_key, (5, 3))
    entries = {
        "x": Fact("x = torch.rand(5, 3)", "the numbers that notebook 000 printed", x),
        "y": Fact("y = torch.rand(5, 3)", "(x + y) - x of what it printed", y),
        "x + y": Fact("x + y", "x + y", forms[0]),
        "add": Fact("torch.add(x, y)", "jnp.add(x, y)", forms[1]),
        "out": Fact(
            "torch.add(x, y, out=result)",
            "jnp.add(x, y, out=result)",
            refusal(lambda: jnp.add(x, y, out=x)),  # pyright: ignore[reportCallIssue]
        ),
        "donated": Fact(
            "", "    jax.jit(jnp.add, donate_argnums=0)(y, x)", in_memory_of_y
        ),
        "same memory": Fact(
            "",
            "    the result lies where y lay",
            in_memory_of_y.unsafe_buffer_pointer() == memory,
        ),
        "gone": Fact("", "    y afterwards", refusal(lambda: own_y + 1)),
        "add_": Fact("y.add_(x)", "y = y.at[:].add(x)", forms[3]),
        "equal forms": Fact(
            "",
            f"of {len(forms)} results, equal bit for bit",
            sum(bool((form == forms[0]).all()) for form in forms),
        ),
        "drawn": Fact("rand(5, 3) + rand(5, 3)", "the same of JAX's own draws", drawn),
    }
    return Section(
        "Four ways to add",
        "torch can write a sum into an array that exists: out=result, y.add_(x). JAX "
        "arrays are immutable, so every form returns a new array; memory is used "
        "again only where an argument is donated, and then its name is dead.",
        entries,
    )
