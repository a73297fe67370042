"""A call as a function from vector to vector, in the widest dtype it supports."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgrad._arguments import NamedLeaf, is_floating, named_leaves
from jaxgrad._checks import check_not_traced, wrong_type
from jaxgrad._modules import has_objects, of_trees, split_objects
from jaxgrad._numerics import default_step
from jaxgrad._types import Array


@dataclass(frozen=True)
class Problem:
    """A function of a vector that returns a vector, and the names of the elements."""

    f: Callable[[Array], Array]
    x: np.ndarray  # where to differentiate it, in the dtype to compute in
    steps: np.ndarray  # the step of the difference for each element of x
    paths: tuple[tuple[str, tuple[int, ...]], ...]  # path and shape of each argument
    outputs: tuple[tuple[str, tuple[int, ...]], ...]  # the same for the results
    dtype: str  # the narrowest one among arguments and results
    wide: bool  # whether to compute under jax.enable_x64
    notes: tuple[str, ...] = ()  # what could not be checked, and why
    order: int = 1  # of the derivatives that are checked
    dtypes: tuple[str, ...] = ()  # of the arguments as they were given
    own: "Problem | None" = None  # the same in these dtypes, if they are narrower


def problem_of(
    f: Callable[..., Any], has_aux: bool, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Problem:
    """The call in float64 if it keeps float64, else in its own dtype."""
    given = split_objects((args, kwargs))
    f = of_trees(f) if has_objects(given) else f
    leaves, tree = named_leaves(f, *given)
    check_not_traced("check_gradients", (leaf.value for leaf in leaves))
    call = _Call(f, leaves, tree, has_aux)
    if not call.varying:
        what = "an argument with floating elements"
        raise wrong_type("check_gradients", what, "none")
    with jax.enable_x64(True):
        dtypes = [jnp.float64] * len(call.varying)
        problem, reason = _attempt(call, dtypes, wide=True)
    dtypes = [jnp.result_type(leaf.value) for leaf in call.varying]
    if problem is not None:
        narrow = all(jnp.finfo(dtype).bits < 64 for dtype in dtypes)
        own = _attempt(call, dtypes, wide=False)[0] if narrow else None
        return replace(problem, own=own, dtypes=tuple(d.name for d in dtypes))
    problem, fault = _attempt(call, dtypes, wide=False)
    if problem is None:
        raise fault
    note = f"not in float64: {_first_sentence(reason)}"
    return problem if "float64" in dtypes else replace(problem, notes=(note,))


def gradient_of(problem: Problem) -> Problem:
    """The problem whose result is the gradient of `problem`'s weighted results."""
    outputs = tuple((f" (d/d {path})", shape) for path, shape in problem.paths)
    f = jax.grad(weighted(problem))
    return replace(problem, f=f, outputs=outputs, notes=(), order=2, own=None)


def weighted(problem: Problem) -> Callable[[Array], Array]:
    """A fixed weighted sum of the results."""
    count = sum(int(np.prod(shape)) for _, shape in problem.outputs)
    weights = np.linspace(0.5, 1.5, count) if count > 1 else np.ones(1)

    def total(x: Array) -> Array:
        results = problem.f(x)
        return jnp.vdot(results, jnp.asarray(weights, results.dtype))

    return total


def computing(problem: Problem) -> AbstractContextManager[Any]:
    return jax.enable_x64(True) if problem.wide else nullcontext()


@dataclass(frozen=True)
class _Call:
    f: Callable[..., Any]
    leaves: list[NamedLeaf]
    tree: Any
    has_aux: bool

    @property
    def varying(self) -> list[NamedLeaf]:
        return [leaf for leaf in self.leaves if _varies(leaf)]

    def results(self, floating: Sequence[Array], wide: bool) -> list[tuple[str, Array]]:
        """The floating results, with their paths, for other floating leaves."""
        given = iter(floating)
        leaves = [
            next(given) if _varies(leaf) else _fixed(leaf, wide) for leaf in self.leaves
        ]
        args, kwargs = jax.tree.unflatten(self.tree, leaves)
        result = self.f(*args, **kwargs)
        result = result[0] if self.has_aux else result
        paths, _ = jax.tree_util.tree_flatten_with_path(result)
        for path, leaf in paths:
            if jnp.iscomplexobj(leaf):
                got = f"a complex one at {jax.tree_util.keystr(path)!r}"
                raise wrong_type("check_gradients", "f to return real arrays", got)
        found = [(jax.tree_util.keystr(p), x) for p, x in paths if is_floating(x)]
        if not found:
            raise wrong_type("check_gradients", "f to return a floating array", "none")
        return found


def _varies(leaf: NamedLeaf) -> bool:
    return leaf.parameter is not False and is_floating(leaf.value)


def _fixed(leaf: NamedLeaf, wide: bool) -> Any:
    """A leaf that does not vary; a module's statistics have the dtype of the rest."""
    floating = isinstance(leaf.value, jax.Array) and is_floating(leaf.value)
    return jnp.asarray(leaf.value, jnp.float64) if wide and floating else leaf.value


def _attempt(
    call: _Call, dtypes: Sequence[Any], wide: bool
) -> tuple[Problem | None, Any]:
    """The problem in these dtypes, or the reason why `f` does not support them."""
    common = np.result_type(*dtypes) if len(set(dtypes)) > 1 else dtypes[0]
    arrays = [
        np.asarray(leaf.value, dtype)
        for leaf, dtype in zip(call.varying, dtypes, strict=True)
    ]
    ends = np.cumsum([array.size for array in arrays])[:-1]
    found: list[Any] = []

    def f(x: Array) -> Array:
        pieces = [
            piece.reshape(array.shape).astype(array.dtype)
            for piece, array in zip(jnp.split(x, ends), arrays, strict=True)
        ]
        results = call.results(pieces, wide)
        found[:] = [(path, jnp.shape(leaf)) for path, leaf in results]
        widest = np.result_type(*(leaf.dtype for _, leaf in results))
        found.append([leaf.dtype.name for _, leaf in results])
        return jnp.concatenate([jnp.ravel(y).astype(widest) for _, y in results])

    x = np.concatenate([array.ravel().astype(common) for array in arrays])
    try:
        jaxpr = jax.make_jaxpr(f)(x)
    except Exception as fault:  # any error of `f` in another dtype
        return None, fault
    *outputs, names = found
    if wide and set(names) != {"float64"}:
        return None, f"f returns {names[0]} for any input"
    if wide and (narrow := _narrowing(jaxpr)):
        return None, f"f computes in {narrow}"
    steps = np.concatenate([_steps(array) for array in arrays])
    narrowest = max([*names, *(a.dtype.name for a in arrays)], key=_epsilon)
    paths = tuple(
        (leaf.path, array.shape)
        for leaf, array in zip(call.varying, arrays, strict=True)
    )
    return Problem(
        f, x, steps.astype(common), paths, tuple(outputs), narrowest, wide
    ), None


def _steps(array: np.ndarray) -> np.ndarray:
    """Powers of two near the best step, so that x + step is exact in the dtype."""
    steps = np.asarray(default_step(jnp.asarray(array)), np.float64).ravel()
    return np.exp2(np.round(np.log2(steps)))


def _epsilon(dtype: str) -> float:
    return float(jnp.finfo(dtype).eps)


def _narrowing(jaxpr: Any) -> str:
    """The narrower dtype that an equation casts floating values to, or ""."""
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        for parameter in equation.params.values():
            parts = parameter if isinstance(parameter, tuple | list) else [parameter]
            for part in parts:
                if hasattr(getattr(part, "jaxpr", part), "eqns"):
                    if narrow := _narrowing(part):
                        return narrow
        sources, targets = _real(equation.invars), _real(equation.outvars)
        finest = min(map(_epsilon, sources), default=np.inf)
        for target in targets:
            if finest < _epsilon(target):
                return target
    return ""


def _real(atoms: Sequence[Any]) -> list[str]:
    """The real floating dtypes of an equation's operands or results."""
    dtypes = (getattr(atom.aval, "dtype", None) for atom in atoms)
    return [d.name for d in dtypes if d and jnp.issubdtype(d, jnp.floating)]


def _first_sentence(reason: Any) -> str:
    return str(reason).strip().split("\n")[0].split(". ")[0]
