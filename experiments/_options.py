"""The options of every experiment.

They import nothing heavy, so that `--help` answers at once. A description of several
lines is a string without line breaks, which tyro would print.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Name = Literal[
    "arrays",
    "derivatives",
    "backprop",
    "activations",
    "optimizers",
    "cross_entropy",
    "two_layer_net",
    "mnist_mlp",
    "explain",
    "port",
]
DataSet = Literal["auto", "mnist", "digits"]
Optimizer = Literal[
    "sgd", "momentum", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "lion"
]
Schedule = Literal["constant", "linear", "cosine", "one-cycle"]


@dataclass(frozen=True)
class Options:
    output_dir: Path = Path("results")
    """Folder for the figures."""


@dataclass(frozen=True)
class Arrays(Options):
    """PyTorch's tensors and JAX's arrays, line by line."""

    device: str | None = None
    (
        "Device to compute on: cpu, gpu, tpu or, with a number, cpu:0; by default "
        "JAX's. The sections on memory shared with NumPy always run on the CPU."
    )
    seed: int = 0
    """Seed of the random arrays."""
    repeats: int = 5
    """Runs of each timed conversion; the fastest counts."""


@dataclass(frozen=True)
class Derivatives(Options):
    """Derivatives by calculus, by JAX and by differences, side by side."""

    delta: float = 0.001
    """Step of the differences; the notebook's is 0.001."""
    seed: int = 0
    """Seed of the one random matrix."""


@dataclass(frozen=True)
class Backprop(Options):
    """Backpropagation and gradient descent, from one weight to a layered network."""

    epochs: int = 20
    """Steps of gradient descent on w x + b."""
    lr: float = 0.01
    """Learning rate, except in the table of rates."""
    starts: int = 5000
    """Random starts of the linear layer, for the distribution of its loss."""
    seed: int = 0
    """Seed of everything random."""


@dataclass(frozen=True)
class Activations(Options):
    """Every activation with its derivatives, and the values chosen at its kinks."""


@dataclass(frozen=True)
class Optimizers(Options):
    """Six optimizers from one start, and their race over seven surfaces."""

    lrs: int = 32
    """Number of learning rates in the race, from 1e-4 to 10."""
    starts: int = 32
    """Number of random starts in the race, inside the bounds of each surface."""
    race_steps: int = 1000
    """Steps of each descent in the race."""
    seed: int = 0
    """Seed of the starts."""


@dataclass(frozen=True)
class CrossEntropy(Options):
    """Three ways to cross-entropy, its gradient and its options."""

    largest: float = 150.0
    """Largest logit of the figure; exp overflows in float32 at 88.7."""


@dataclass(frozen=True)
class TwoLayerNet(Options):
    """A two-layer network on random numbers: 500 steps, from many starts."""

    starts: int = 200
    """Number of random starts; 20 are too few to assess the printed run."""
    side_by_side: int = 2
    """Starts that run at once (vmap): all on a GPU, few on a CPU, for its cache."""
    lr: float = 1e-6
    """Learning rate; the notebook's is 1e-6."""
    seed: int = 0
    """Seed of all starts."""


@dataclass(frozen=True)
class MnistMlp(Options):
    """A perceptron with three layers learns MNIST."""

    dataset: DataSet = "auto"
    (
        "The data set; auto is MNIST if a folder, the cache or the network provides "
        "it, else scikit-learn's digits."
    )
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    epochs: int = 20
    """Number of passes over the training set."""
    batch_size: int | None = None
    """Examples per step; by default the notebook's 256, and 32 on the digits."""
    optimizer: Optimizer = "sgd"
    """An Optax optimizer."""
    lr: float | None = None
    (
        "Learning rate; by default one that suits the optimizer (sgd 0.01, on the "
        "digits 0.3; adam 0.001)."
    )
    schedule: Schedule = "constant"
    (
        "How the learning rate changes over the run: cosine and linear fall to 0, "
        "one-cycle rises to the learning rate first."
    )
    seed: int = 0
    """Seed of the initial parameters and of the order of the examples."""
    target_accuracy: float | None = None
    """Test accuracy to reach, as 0.92 or 92; exit code 1 if the run misses it."""
    side_runs: bool = True
    (
        "Whether to also measure what the notebook says about batch sizes, no_grad, "
        "changed parameters and your own arrays, which takes as long as 7 epochs, and "
        "the loss on the training set after each epoch, which takes a third of an "
        "epoch."
    )
    output_dir: Path = Path("results/mnist_mlp")
    """Folder for the pictures and metrics.jsonl."""
    checkpoint_dir: Path | None = None
    """Save the run in this folder after each epoch; the folder is created."""
    save_every: int | None = None
    """Also save after every so many steps."""
    keep: int = 3
    """How many checkpoints to keep."""
    resume: bool = False
    """Continue from the newest checkpoint, if there is one, to the same bits."""
    coordinator: str | None = None
    """HOST:PORT of the first of several processes (docs/scaling.md)."""
    num_processes: int | None = None
    """Number of processes."""
    process_id: int | None = None
    """Number of this process, counted from 0."""
    join_seconds: int = 15
    """How long to wait for all of them to start."""
    distributed: bool = False
    """Read the coordinator and both numbers from the cluster (Slurm, GKE, TPU)."""


@dataclass(frozen=True)
class Explain(Options):
    """Every gradient explained: seven reports, as tables and pages with the graph."""

    dataset: DataSet = "auto"
    (
        "The perceptron's images. auto: MNIST if a folder, the cache or the network "
        "provides it, otherwise scikit-learn's digits."
    )
    data_dir: Path | None = None
    """Folder of the four MNIST files; by default $JAXGRAD_DATA_DIR."""
    batch_size: int = 256
    """Images in the perceptron's first batch."""
    steps: int = 200
    """Steps of the two training loops, unless a NaN stops them."""
    seed: int = 0
    """Seed of everything random."""
    output_dir: Path = Path("results/explain")
    """Folder for the pages."""


@dataclass(frozen=True)
class Port(Options):
    """Three ports of PyTorch programs: where does each depart from its original?"""

    output_dir: Path = Path("results/port")
    """Folder for the pages with both graphs side by side."""


EXPERIMENTS: dict[Name, type[Options]] = {
    "arrays": Arrays,
    "derivatives": Derivatives,
    "backprop": Backprop,
    "activations": Activations,
    "optimizers": Optimizers,
    "cross_entropy": CrossEntropy,
    "two_layer_net": TwoLayerNet,
    "mnist_mlp": MnistMlp,
    "explain": Explain,
    "port": Port,
}
