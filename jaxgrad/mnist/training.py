"""Mini-batch training as pure functions of a state.

PyTorch's loop loads a batch, calls five methods and reads the loss, 235 times an epoch.
Here an epoch is one compiled loop: the images stay on the device as bytes, where
they are shuffled, cut into batches and scaled, and what comes back is a new state and
the losses. All that is random follows from the state's key and its two counters, so a
run is a function of its first state; and any state, or `Progress` within an epoch, is
the first of the run's rest.

Everything takes the network, the loss and the optimizer as functions. `jax.jit` knows
functions by identity: make each once, not once per call. With `mesh=data_mesh()` the
same functions spread each batch over all devices of all processes.
"""

from jaxgrad.mnist._epoch import Loss as Loss
from jaxgrad.mnist._epoch import train_epoch as train_epoch
from jaxgrad.mnist._epoch import train_step as train_step
from jaxgrad.mnist._evaluation import evaluate as evaluate
from jaxgrad.mnist._fit import Progress as Progress
from jaxgrad.mnist._fit import advance as advance
from jaxgrad.mnist._fit import fit as fit
from jaxgrad.mnist._sharding import data_mesh as data_mesh
from jaxgrad.mnist._sharding import replicated as replicated
from jaxgrad.mnist._state import Epoch as Epoch
from jaxgrad.mnist._state import Evaluation as Evaluation
from jaxgrad.mnist._state import Model as Model
from jaxgrad.mnist._state import Network as Network
from jaxgrad.mnist._state import TrainState as TrainState
from jaxgrad.mnist._state import init as init
from jaxgrad.mnist._visits import Batches as Batches
from jaxgrad.mnist._visits import batches as batches
