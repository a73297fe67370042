"""A state dict into the arrays of a template, and back.

The template says which arrays there are: only names, shapes and dtypes are used, so it
may be abstract, as from `jax.eval_shape`.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxgrad._checks import wrong_type
from jaxgrad._types import PyTree
from jaxgrad.torch_state._arrays import Arrays, as_arrays, like_value
from jaxgrad.torch_state._fitting import Rules
from jaxgrad.torch_state._layout import Layout
from jaxgrad.torch_state._matching import Names, match
from jaxgrad.torch_state._templates import Template, is_lone_leaf


def layout(
    state: Mapping[str, Any],
    template: PyTree,
    names: Names | None = None,
    rules: Rules | None = None,
) -> Layout:
    """Where each array of a state dict is in a template, for `optimizer_from_torch`.

    Args: As for `from_torch`.
    Returns: The layout. It holds no values.
    Raises: As `from_torch`, except for values.
    """
    arrays = as_arrays("layout", state)
    return _layout("layout", arrays, _opened("layout", template), names, rules)


def from_torch(
    state: Mapping[str, Any],
    template: PyTree,
    names: Names | None = None,
    rules: Rules | None = None,
) -> PyTree:
    """The template with the values of a torch state dict.

    Arrays are matched by name: words are compared, so `layer1.0.conv1.weight` is
    `layer1_0/conv1/kernel`. By the names of Flax's arrays a `kernel` is transposed to
    (*space, in, out), and everything else is as in torch. `in_proj_weight` of attention
    becomes query, key and value; the gates of recurrent layers become Flax's, whose one
    bias is the sum of torch's two. Torch arrays that share memory may have one place.
    `num_batches_tracked` has no counterpart.

    Args:
        state: Names to torch tensors or arrays of any shape, as of
            `module.state_dict()` or `read_safetensors`.
        template: The variables of a linen module, an NNX module, or any tree of arrays;
            they may be abstract.
        names: What is called otherwise: torch's names, or beginnings of them that end
            before a dot, to the tree's, with slashes: `{"0": "Dense_0"}`. None leaves
            the arrays out.
        rules: Patterns of names, torch's or the tree's, or of their modules, to the
            rule for arrays of two axes or more; the first that matches counts. Needed
            for `after_flatten`, and where more than one rule fits: for square kernels
            of linen's `ConvTranspose` and `Conv`, and for square matrices of trees
            without Flax's names.
    Returns: A tree like the template, or a new NNX module; arrays have the template's
        dtypes. The keys of an NNX module, and its caches, are those of the template.
    Raises: TypeError if `state` is no mapping of names to tensors or arrays;
        ValueError if a shape does not fit, an array of either side has no or two
        counterparts, more than one rule fits, or a value would be rounded.

    Examples:
        >>> import jax.numpy as jnp
        >>> template = {"fc": {"kernel": jnp.zeros((3, 2))}}
        >>> from_torch({"fc.weight": np.arange(6.0).reshape(2, 3)}, template)
        {'fc': {'kernel': Array([[0., 3.],
               [1., 4.],
               [2., 5.]], dtype=float32)}}
    """
    arrays = as_arrays("from_torch", state)
    opened = _opened("from_torch", template)
    found = _layout("from_torch", arrays, opened, names, rules)
    return opened.filled("from_torch", found.gather("from_torch", arrays))


def to_torch(
    tree: PyTree,
    like: Mapping[str, Any],
    names: Names | None = None,
    rules: Rules | None = None,
) -> dict[str, Any]:
    """The state dict of a torch module with the values of a tree, the inverse.

    Args:
        tree: Linen's variables, an NNX module, or any tree of arrays.
        like: A state dict with the names and shapes, such as that of the module. What
            the tree lacks is taken from it: `num_batches_tracked`, arrays that `names`
            leaves out, and a recurrent layer's two biases if their sum is the tree's;
            otherwise the first becomes the sum, and the second zero.
        names: As for `from_torch`.
        rules: As for `from_torch`.
    Returns: For each name of `like` a new tensor or NumPy array, of its type, dtype and
        device, for `module.load_state_dict`.
    Raises: As `from_torch`.

    Examples:
        >>> import jax.numpy as jnp
        >>> tree = {"fc": {"kernel": jnp.arange(6.0).reshape(3, 2)}}
        >>> to_torch(tree, {"fc.weight": np.zeros((2, 3), np.float32)})
        {'fc.weight': array([[0., 2., 4.],
               [1., 3., 5.]], dtype=float32)}
    """
    arrays = as_arrays("to_torch", like)
    opened = _opened("to_torch", tree)
    found = _layout("to_torch", arrays, opened, names, rules)
    leaves = {path: np.asarray(leaf) for path, leaf in opened.leaves().items()}
    filled = arrays | found.scatter("to_torch", leaves, arrays)
    return {
        name: like_value("to_torch", name, filled[name], value)
        for name, value in like.items()
    }


def _layout(
    function: str,
    arrays: Arrays,
    template: Template,
    names: Names | None,
    rules: Rules | None,
) -> Layout:
    names, rules = names or {}, rules or {}
    _check_mapping(function, "names", names, (str, type(None)), "names or None")
    _check_mapping(function, "rules", rules, Callable, "functions of jaxgrad's rules")
    return match(function, arrays, template.targets(), names, rules)


def _opened(function: str, template: Any) -> Template:
    """The template; TypeError for what is no tree, such as a linen module."""
    if template is None or is_lone_leaf(template):
        hint = "pass the variables that module.init returns, or an NNX module"
        got = type(template).__name__
        raise wrong_type(function, "a tree of arrays", got, hint)
    return Template(template)


def _check_mapping(
    function: str, argument: str, given: Any, kind: Any, values: str
) -> None:
    """TypeError unless an argument is a mapping of strings to these values."""
    expected = f"{argument} to be a mapping of strings to {values}"
    if not isinstance(given, Mapping):
        raise wrong_type(function, expected, type(given).__name__)
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, kind):
            raise wrong_type(function, expected, f"{key!r}: {value!r}")
