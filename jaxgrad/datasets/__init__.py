"""Labelled images as NumPy arrays: MNIST, scikit-learn's digits, or your own.

PyTorch has a Dataset class, transforms and a DataLoader; here a data set is its arrays:
uint8 images and int32 labels, split for training and testing. Cutting batches is
indexing, and scaling the pixels is the first line of the model.

    dataset = load("mnist", "folder/of/the/four/files")    # or JAXGRAD_DATA_DIR
    dataset = load("auto")        # MNIST if available, else the digits; it says so
    print(dataset)

`load` imports tensorflow-datasets and scikit-learn when it needs them; its errors say
what to install.
"""

from jaxgrad.datasets._dataset import Dataset as Dataset
from jaxgrad.datasets._dataset import Split as Split
from jaxgrad.datasets._dataset import from_arrays as from_arrays
from jaxgrad.datasets._idx import read_idx as read_idx
from jaxgrad.datasets._load import DATA_DIR_VARIABLE as DATA_DIR_VARIABLE
from jaxgrad.datasets._load import load as load
