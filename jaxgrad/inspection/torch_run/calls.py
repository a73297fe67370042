"""What the report calls a function of PyTorch, and which calls are not steps."""

import re
from collections.abc import Callable
from typing import Any

from jaxgrad.inspection.program.names import OPERATORS, operation_of
from jaxgrad.inspection.torch_run.stack import Site

# What Python's operators call, and the words for them.
WORDS = {
    **{name: name for name in ("add", "pow", "matmul", "abs")},
    "sub": "subtract",
    "mul": "multiply",
    "div": "divide",
    "true_divide": "divide",
    "neg": "negative",
    "getitem": "index",
    "setitem": "setitem",
    "radd": "add",
    "rsub": "subtract",
    "rmul": "multiply",
    "rdiv": "divide",
    "truediv": "divide",
    "rtruediv": "divide",
    "rpow": "pow",
    "rmatmul": "matmul",
    "floordiv": "floor_divide",
    "rfloordiv": "floor_divide",
    "mod": "remainder",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    "rmod": "remainder",
    "remainder": "remainder",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "T": "transpose",
    "mT": "transpose",
}
# Attributes that are read without computing anything.
ATTRIBUTES = ("grad", "_grad", "_base", "grad_fn")
# PyTorch's own nodes of the autograd graph.
NODES = {
    "BackwardHookFunction": "backward_hook",
    "CheckpointFunction": "checkpoint",
    "torch::jit::(anonymous namespace)::DifferentiableGraphBackward": "torch.jit",
}
# The modules whose functions carry the module's name in front: `torch.fft.fft`.
PREFIXES = re.compile(r"^(_|fft_|linalg_|special_)(?=[a-z])")
# Functions that read no values.
CREATING = ("zeros", "ones", "empty", "rand", "randn")


def name_of(function: Callable[..., Any]) -> str:
    """The function's name as the user writes it: `add`, `add_`, `getitem`, `fft`."""
    name = getattr(function, "__name__", type(function).__name__)
    if name in ("__get__", "__set__"):
        name = getattr(getattr(function, "__self__", None), "__name__", name)
    if name.startswith("__") and name.endswith("__"):
        return name.removeprefix("__").removesuffix("__")
    return PREFIXES.sub("", name)


def operation_at(function: Callable[..., Any], site: Site) -> str:
    """The operation in the words of the user's source."""
    name = name_of(function)
    if name not in WORDS:
        return name
    written = operation_of(site.frames[-1]) if site.direct and site.frames else ""
    return written if written in (*OPERATORS.values(), name) else WORDS[name]


def only_reads(function: Callable[..., Any]) -> bool:
    """Whether a call only reads an attribute."""
    if getattr(function, "__name__", "") != "__get__":
        return False
    return name_of(function) in ATTRIBUTES


def uses_only_shapes(function: Callable[..., Any]) -> bool:
    """Whether the result depends on no value of the arguments: `zeros_like`."""
    name = name_of(function)
    return name.endswith("_like") or name.startswith("new_") or name in CREATING


def is_arithmetic(function: Callable[..., Any]) -> bool:
    """Whether numbers among the arguments are operands: `x * 2`."""
    name = name_of(function)
    return name in WORDS and name not in ("getitem", "setitem")


def is_reversed(function: Callable[..., Any]) -> bool:
    """Whether the second argument is the left operand: `2 - x` calls `__rsub__`."""
    name = getattr(function, "__name__", "")
    return name.startswith("__r") and name_of(function)[1:] in WORDS


def name_of_node(name: str) -> str:
    """What a node of the autograd graph computes: `sin` for `SinBackward0`."""
    return NODES.get(name) or re.sub(r"Backward\d*$", "", name)
