"""Mini-batch training as pure functions of a state.

An epoch is one compiled loop over images that stay on the device as bytes. All
randomness follows from the state's key and its two counters, so a run is a function of
its first state, and any later state or `Progress` can start the rest of the run.
`checkpoints` saves a run, and `assessment` examines its result. A run stops with
`NonFinite` at the first loss or parameter that is NaN or infinite.

`jax.jit` recognises the network, the loss and the optimizer by identity: create each
once, not once per call. With `mesh=data_mesh()` the same functions spread each batch
over all devices of all processes.
"""

from jaxgrad.training._batches import BatchCount as BatchCount
from jaxgrad.training._batches import count_batches as count_batches
from jaxgrad.training._epoch import evaluate as evaluate
from jaxgrad.training._epoch import train_epoch as train_epoch
from jaxgrad.training._epoch import train_step as train_step
from jaxgrad.training._fit import Progress as Progress
from jaxgrad.training._fit import advance as advance
from jaxgrad.training._fit import fit as fit
from jaxgrad.training._monitor import Metrics as Metrics
from jaxgrad.training._monitor import Watched as Watched
from jaxgrad.training._monitor import gradient_metrics as gradient_metrics
from jaxgrad.training._monitor import monitor as monitor
from jaxgrad.training._nonfinite import NonFinite as NonFinite
from jaxgrad.training._sharding import data_mesh as data_mesh
from jaxgrad.training._sharding import replicated as replicated
from jaxgrad.training._state import Epoch as Epoch
from jaxgrad.training._state import Evaluation as Evaluation
from jaxgrad.training._state import Loss as Loss
from jaxgrad.training._state import Model as Model
from jaxgrad.training._state import Network as Network
from jaxgrad.training._state import TrainState as TrainState
from jaxgrad.training._state import init as init
from jaxgrad.training._state import sha256 as sha256
