"""One recorded run: forward under the recorder, then backward."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jaxgrad._checks import wrong_type
from jaxgrad.inspection.program.labels import Origin
from jaxgrad.inspection.torch_run.arrays import copied
from jaxgrad.inspection.torch_run.leaves import Inputs, Leaf
from jaxgrad.inspection.torch_run.recorder import Record, Recorder, recording
from jaxgrad.inspection.torch_run.untouched import requiring, untouched
from jaxgrad.inspection.torch_run.variables import name_results

REENTRANT = "CheckpointFunctionBackward"


@dataclass(eq=False)
class Run:
    """What a run has given."""

    value: Any
    output: Any  # What the function returned
    result: Origin
    leaves: list[Leaf]
    values: list[Any]  # Of the leaves, before the run
    gradients: list[Any]  # Of the leaves; None where there is none
    records: list[Record]
    eager: bool  # Whether compiled functions ran without compilation


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
        recorder.introduce(tensor, Origin("constant", label=name))
    for number, leaf in enumerate(inputs.leaves):
        recorder.introduce(leaf.tensor, Origin("argument", number, label=leaf.path))
    with untouched(inputs, values), requiring(inputs.chosen), differentiating():
        with uncompiled() as eager, recording(recorder):
            output = f(*args, **kwargs)
        value = scalar_in(output, has_aux)
        result = recorder.origin_of_result(value)
        leaves = [*inputs.leaves, *_unnamed(value, inputs.leaves, recorder)]
        values += [copied(leaf.tensor) for leaf in leaves[len(values) :]]
        gradients = _gradients(value, [leaf.tensor for leaf in leaves])
    for hook in recorder.hooks:
        hook.remove()
    records, result, unpacked = recorder.finished(result)
    name_results(records, result, unpacked)
    return Run(value, output, result, leaves, values, gradients, records, eager)


def last_operation() -> int:
    """The number that PyTorch has given to the last operation."""
    import torch

    probe: Any = torch.zeros((), requires_grad=True).clone()
    return probe.grad_fn._sequence_nr()


@contextmanager
def differentiating() -> Iterator[None]:
    """With gradients, whatever the caller has switched off."""
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def uncompiled() -> Iterator[bool]:
    """Run compiled functions operation by operation; whether there may be any."""
    if "torch._dynamo" not in sys.modules:
        yield False
        return
    import torch

    with torch.compiler.set_stance("force_eager"):
        yield True


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


def _gradients(value: Any, tensors: Sequence[Any]) -> list[Any]:
    """The gradients of the leaves that the value depends on."""
    import torch

    gradients: list[Any] = [None] * len(tensors)
    wanted = [i for i, tensor in enumerate(tensors) if tensor.requires_grad]
    if not value.requires_grad or not wanted:
        return gradients
    inputs = [tensors[i] for i in wanted]
    if any(node.name() == REENTRANT for node in _nodes(value)):
        found = _by_backward(value, inputs)
    else:
        found = torch.autograd.grad(value, inputs, allow_unused=True)
    for i, gradient in zip(wanted, found, strict=True):
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


def _unnamed(value: Any, leaves: Sequence[Leaf], recorder: Recorder) -> list[Leaf]:
    """The leaves of the graph that no search has found and no call has made."""
    ends = [leaf.tensor.grad_fn for leaf in leaves]
    tensors = (getattr(node, "variable", None) for node in _nodes(value, ends))
    others = [t for t in tensors if t is not None and not recorder.knows(t)]
    return [Leaf(f"leaf[{i}]", tensor) for i, tensor in enumerate(others)]
