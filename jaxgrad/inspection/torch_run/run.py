"""One recorded run: forward under the recorder, then backward."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from jaxgrad._checks import wrong_type
from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.torch_run.arrays import copied, with_arrays
from jaxgrad.inspection.torch_run.leaves import Inputs, Leaf
from jaxgrad.inspection.torch_run.recorder import Recorder, recording
from jaxgrad.inspection.torch_run.records import Record
from jaxgrad.inspection.torch_run.untouched import requiring, untouched
from jaxgrad.inspection.torch_run.variables import name_results

REENTRANT = "CheckpointFunctionBackward"
COMPILED = "compile_wrapper"  # PyTorch's function around a compiled one


@dataclass(eq=False)
class Run:
    """What a run has given."""

    value: Any
    further: Any  # Its further results, under `has_aux`
    result: Origin
    leaves: list[Leaf]
    values: list[Any]  # Of the leaves, before the run
    gradients: list[Any]  # Of the leaves; None where there is none
    records: list[Record]

    @property
    def uncompiled(self) -> bool:
        """Whether functions under `torch.compile` ran uncompiled."""
        frames = (frame for record in self.records for frame in record.site.frames)
        return any(frame.code.co_name == COMPILED for frame in frames)


def check_installed(function: str) -> None:
    """ImportError unless PyTorch can be imported."""
    try:
        import torch  # noqa: F401
    except ImportError as fault:
        got = f"got {fault} instead; pip install torch."
        raise ImportError(f"{function}: expected PyTorch, {got}") from fault


def run(
    f: Callable[..., Any],
    args: Any,
    kwargs: Any,
    inputs: Inputs,
    recorder: Recorder,
    has_aux: bool,
) -> Run:
    """Run a program and its backward pass; the user's tensors stay as they are."""
    values = [copied(leaf.tensor) for leaf in inputs.leaves]
    for name, tensor in inputs.constants.items():
        recorder.origins.introduce(tensor, Origin("constant", label=name))
    for number, leaf in enumerate(inputs.leaves):
        recorder.origins.introduce(
            leaf.tensor, Origin("argument", number, label=leaf.path)
        )
    with untouched(inputs, values), requiring(inputs.chosen), differentiating():
        with uncompiled(), own_paths(), recording(recorder):
            output = f(*args, **kwargs)
        value = scalar_in(output, has_aux)
        records, result, unpacked = recorder.finished(value)
        leaves = [*inputs.leaves, *_unnamed(value, inputs.leaves, recorder)]
        values += [copied(leaf.tensor) for leaf in leaves[len(values) :]]
        recorder.differentiating = True
        tensors = [leaf.tensor for leaf in leaves]
        wanted = [_is_wanted(tensor, recorder) for tensor in tensors]
        gradients = _gradients(value, tensors, wanted)
        further = with_arrays(output[1]) if has_aux else None
    for hook in recorder.hooks:
        hook.remove()
    name_results(records, result, unpacked)
    return Run(value, further, result, leaves, values, gradients, records)


@contextmanager
def differentiating() -> Iterator[None]:
    """With gradients, whatever the caller has switched off."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        yield


def uncompiled() -> AbstractContextManager[Any]:
    """Run functions under `torch.compile` operation by operation."""
    if "torch._dynamo" not in sys.modules:  # which `torch.compile` imports, slowly
        return nullcontext()
    import torch

    return torch.compiler.set_stance("force_eager")


@contextmanager
def own_paths() -> Iterator[None]:
    """Let PyTorch's modules take the paths that they take without a recorder.

    Attention in evaluation runs as one fused operation, with other roundings, unless
    `torch.overrides.has_torch_function` is true, which it is under every mode.
    """
    import torch

    overrides: Any = torch.overrides
    asked, plain = overrides.has_torch_function, (torch.Tensor, torch.nn.Parameter)

    def answer(arguments: Any) -> bool:
        others = len(overrides._get_current_function_mode_stack()) > 1
        kinds = {type(each) for each in arguments if each is not None}
        return (others or not kinds <= {*plain}) and asked(arguments)

    overrides.has_torch_function = answer
    try:
        yield
    finally:
        overrides.has_torch_function = asked


def scalar_in(output: Any, has_aux: bool) -> Any:
    """The tensor to differentiate; TypeError unless it is a real floating scalar."""
    import torch

    if has_aux:
        if not (isinstance(output, tuple) and len(output) == 2):
            expected = "f to return a pair (value, aux) under has_aux"
            raise wrong_type("explain_torch", expected, _described(output))
        output = output[0]
    is_tensor = isinstance(output, torch.Tensor)
    if not is_tensor or output.numel() != 1 or not output.is_floating_point():
        remedy = "reduce it, for example with a sum" if is_tensor else ""
        if isinstance(output, tuple):
            remedy = "with has_aux=True the second may be anything"
        expected = "f to return one floating scalar tensor"
        raise wrong_type("explain_torch", expected, _described(output), remedy)
    return output


def _described(output: Any) -> str:
    import torch

    if isinstance(output, torch.Tensor):
        return f"a tensor {output.dtype} of shape {tuple(output.shape)}"
    if isinstance(output, tuple):
        return f"({', '.join(map(_described, output))})"
    return type(output).__name__


def _is_wanted(tensor: Any, recorder: Recorder) -> bool:
    """Whether a leaf is differentiated; not if a change in place made it a result."""
    known = recorder.origins.find(tensor)
    is_result = known is not None and known.origin.kind == "step"
    return tensor.requires_grad and (tensor.is_leaf or not is_result)


def _gradients(
    value: Any, tensors: Sequence[Any], differentiated: Sequence[bool]
) -> list[Any]:
    """The gradients of the leaves that the value depends on."""
    import torch

    gradients: list[Any] = [None] * len(tensors)
    wanted = [i for i, each in enumerate(differentiated) if each]
    if not value.requires_grad:
        return gradients
    inputs = [tensors[i] for i in wanted]
    # The leaves made on the way count as well, or nothing behind them would run.
    known = {id(tensor) for tensor in inputs}
    inputs += [leaf for leaf in _leaves(value, tensors) if id(leaf) not in known]
    if any(node.name() == REENTRANT for node in _nodes(value)):
        found = _by_backward(value, inputs)
    else:
        found = torch.autograd.grad(value, inputs, allow_unused=True)
    for i, gradient in zip(wanted, found, strict=False):
        gradients[i] = gradient
    return gradients


def _by_backward(value: Any, tensors: Sequence[Any]) -> list[Any]:
    """The same through `.grad`, which reentrant checkpoints insist on."""
    before = [tensor.grad for tensor in tensors]
    try:
        for tensor in tensors:
            tensor.grad = None
        value.backward()
        return [tensor.grad for tensor in tensors]
    finally:
        for tensor, gradient in zip(tensors, before, strict=True):
            tensor.grad = gradient


def _nodes(value: Any, ends: Sequence[Any] = ()) -> Iterator[Any]:
    """The nodes of the graph behind a value, up to the nodes `ends`."""
    pending, seen = [value.grad_fn], {None, *ends}
    while pending:
        node = pending.pop()
        if node not in seen:
            seen.add(node)
            yield node
            pending += [each for each, _ in node.next_functions]


def _leaves(value: Any, tensors: Sequence[Any]) -> list[Any]:
    """The leaves of the graph between a value and some tensors."""
    nodes = _nodes(value, [tensor.grad_fn for tensor in tensors])
    found = (getattr(node, "variable", None) for node in nodes)
    return [tensor for tensor in found if tensor is not None]


def _unnamed(value: Any, leaves: Sequence[Leaf], recorder: Recorder) -> list[Leaf]:
    """The leaves of the graph that no search has found and no call has made."""
    found = _leaves(value, [leaf.tensor for leaf in leaves])
    others = [tensor for tensor in found if recorder.origins.find(tensor) is None]
    return [Leaf(f"leaf[{i}]", tensor) for i, tensor in enumerate(others)]
