"""Without MNIST: how to get it, and the settings with which the digits are learned.

The digits are 1,440 images, so an epoch of the notebook's batches has six steps: at its
learning rate 20 epochs reach 74.5 % of the test images. Smaller batches and a larger
rate reach 97 % in as many epochs, and a few seconds.
"""

from experiments._mnist_mlp.config import Config

HOW_TO_GET_MNIST = (
    "To train on MNIST, pass the folder of its four files (train-images-idx3-ubyte.gz "
    "and so on) as --data-dir FOLDER or in JAXGRAD_DATA_DIR; with a network, "
    "tensorflow-datasets downloads them once (11 MB)."
)
BATCH_SIZES = {"mnist": 256, "digits": 32}
SGD_ON_DIGITS = 0.3


def settings(config: Config, dataset: str) -> tuple[int, float | None]:
    """The batch size and the rate that the options name, or that suit the data set.

    The rate is None where the optimizer's own default suits it.
    """
    lr = config.lr
    if dataset == "digits" and config.optimizer == "sgd" and lr is None:
        lr = SGD_ON_DIGITS
    return config.batch_size or BATCH_SIZES[dataset], lr
