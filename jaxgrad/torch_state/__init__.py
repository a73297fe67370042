"""A torch state dict, or a safetensors file, as arrays of JAX and back.

    state = torch_model.state_dict()              # or read_safetensors(path)
    variables = from_torch(state, jax.eval_shape(model.init, key, x))   # linen
    model = from_torch(state, nnx.eval_shape(make_model))               # NNX
    torch_model.load_state_dict(to_torch(variables, state))

Linen's variables, NNX modules and any other tree of arrays are filled by name, with the
layouts of Flax; what does not fit is an error with both names and shapes.
`optimizer_from_torch` does the same for the state of an optimizer. A pickle is never
opened, and neither torch nor Flax is imported.
"""

from jaxgrad.torch_state import rules as rules
from jaxgrad.torch_state._arrays import flat as flat
from jaxgrad.torch_state._arrays import nested as nested
from jaxgrad.torch_state._layout import Layout as Layout
from jaxgrad.torch_state._optimizer_export import (
    optimizer_to_torch as optimizer_to_torch,
)
from jaxgrad.torch_state._optimizer_import import (
    optimizer_from_torch as optimizer_from_torch,
)
from jaxgrad.torch_state._safetensors import read_safetensors as read_safetensors
from jaxgrad.torch_state._safetensors import write_safetensors as write_safetensors
from jaxgrad.torch_state._trees import from_torch as from_torch
from jaxgrad.torch_state._trees import layout as layout
from jaxgrad.torch_state._trees import to_torch as to_torch
