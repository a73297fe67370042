"""The PyTorch originals. Each has `build`: the program, its arguments, its parameters.

A comment names the lines at which a planted bug may be reported: `# <- gelu`.
"""

from torch import nn


def loaded(network: nn.Module, state):
    """The network with this state, in its dtype."""
    network.to(next(iter(state.values())).dtype).load_state_dict(state)
    return network
