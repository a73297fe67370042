"""Writing and copying: `b += 5` as the notebook writes it, and copy against clone.

`b += 5` is the same line in torch, NumPy and JAX, but not the same operation. A tensor
and a NumPy array write into their memory. A JAX array never changes: Python then reads
the line as `b = b + 5` and binds the name to a new array.
"""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments._arrays.memory import address, aligned, pair
from experiments._section import FACTS, Section, error_of

FOURS = np.full(5, 4, np.float32)


def add_five(share: Callable[[Any], Any], a: Any) -> tuple[Any, Any, Any]:
    """The notebook's line on a `b` that shares memory with `a`; `c` also names it."""
    b = share(a)
    c = b
    b += 5
    return a, b, c


def plus_equals() -> Section:
    """`b += 5` executed where b is a NumPy array and where it is a JAX array."""
    in_numpy = add_five(lambda a: a.view(), aligned(FOURS))
    in_jax = add_five(jnp.from_dlpack, aligned(FOURS))
    of_jax, x = jnp.asarray(FOURS), jnp.asarray(FOURS)
    entries: list[tuple[Any, ...]] = [
        _added("b = a.view()  (as torch)", in_numpy),
        _added("b = jnp.from_dlpack(a)", in_jax),
        ("a of JAX, b = np.asarray(a)", *_refused(add_five, np.asarray, of_jax)),
        ("a of JAX, a[...] += 5", *_refused(_write, x)),
        _added("a of JAX, b = a.at[:].add(5)", (x, x.at[:].add(5), x)),
    ]
    return Section(
        "b += 5, executed as the notebook writes it",
        "a is full of 4, b shares its memory, c = b is a second name, then b += 5. In "
        "torch and NumPy the line writes into the memory: a, b and c are 9. In JAX the "
        "line is b = b + 5: it creates an array and binds b to it, while a and c keep "
        "their 4. Nothing can write into a JAX array, so nothing that shares it can "
        "change unnoticed.",
        entries,
        {"3.15": {"b += 5 as written": {"NumPy": in_numpy[:2], "JAX": in_jax[:2]}}},
        ("b", "a", "b after b += 5", "c", "b is still c"),
    )


def _added(case: str, states: tuple[Any, Any, Any]) -> tuple[Any, ...]:
    a, b, c = states
    return case, pair(a, a)[0], pair(b, b)[0], pair(c, c)[0], b is c


def _refused(action: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """The error in the column of b, and `a` after it."""
    error = error_of(lambda: action(*args))
    return pair(args[-1], args[-1])[0], error, "-", "-"


def _write(a: Any) -> None:
    a[...] += 5


def names() -> Section:
    """The methods that copy, and what they are called in torch and in JAX."""
    a: Any = jnp.ones(5)
    twice = [np.asarray(a).copy(), np.asarray(a.copy()).copy()]
    survives = _survives_donation()
    return Section(
        "copy and clone",
        "NumPy calls it copy, torch calls it clone: the notebook's a.copy() is an "
        "AttributeError in torch. JAX has NumPy's name. Its arrays also have a clone, "
        "which is not documented and copies nothing: do not port torch's clone to it. "
        "The notebook's long line, .clone().numpy().copy(), copies twice for the same "
        "result. No line can write into a JAX array, so a copy is only needed before "
        "its memory is donated.",
        [
            ("a.copy()  (AttributeError)", "a.copy()", _new(a, a.copy())),
            ("a.clone()", "a.clone()  (undocumented)", _new(a, a.clone())),
            ("a.clone()", "jnp.array(a)", _new(a, jnp.array(a))),
            ("copy.deepcopy(a)", "copy.deepcopy(a)", _new(a, copy.deepcopy(a))),
            ("a.numpy().copy()", "np.array(a)", _new(a, np.array(a))),
            (
                "a.clone().numpy().copy()",
                "np.asarray(a.copy()).copy()  (equal)",
                bool((twice[0] == twice[1]).all()),
            ),
            ("", "a.copy() after a was donated", survives),
        ],
        header=FACTS,
    )


def _new(old: Any, new: Any) -> str:
    """A copy in words: its type, and whether it has its own memory."""
    place = "its own memory" if address(new) != address(old) else "shared memory"
    kind = "ndarray" if isinstance(new, np.ndarray) else "jax.Array"
    same = bool(np.array_equal(np.asarray(old), np.asarray(new)))
    return f"{kind}, {place}, {'equal' if same else 'not equal'}"


def _survives_donation() -> list[Any]:
    """The copy, and the error of the donated original."""
    a = jnp.ones(5)
    kept = a.copy()
    jax.jit(jnp.negative, donate_argnums=0)(a).block_until_ready()
    return [pair(kept, kept)[0], error_of(lambda: np.asarray(a)).partition(":")[0]]


def transposed() -> dict[str, Any]:
    """The memory of NumPy's `[[0, 1, 2]]` and of its transpose, as row 3.C15."""
    row = np.array([[0, 1, 2]], np.int64)
    return {
        "bytes": [row.nbytes, row.T.nbytes],
        "one memory": bool(np.shares_memory(row, row.T)),
    }
