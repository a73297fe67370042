"""The five notebooks: what each teaches, and its address if it states one."""

from typing import NamedTuple


class Notebook(NamedTuple):
    title: str
    teaches: str
    address: str = ""


NOTEBOOKS = {
    "000": Notebook(
        "Backpropagation on paper, tensors in code",
        "how a network's weights get their gradients, and PyTorch's first tensors and "
        "backward calls",
    ),
    "001": Notebook(
        "Derivatives of any order, and a first descent",
        "torch.autograd.grad, higher derivatives, the chain rule, and 20 steps of "
        "gradient descent, by hand and with an optimizer",
    ),
    "002": Notebook(
        "A two-layer network trained with autograd",
        "500 steps of gradient descent on random data, without a layer or an optimizer",
        "https://colab.research.google.com/github/pphos/pytorch_tutorial/blob/master/"
        "two_layer_net_autograd.ipynb",
    ),
    "003": Notebook(
        "From tensors to a perceptron on MNIST",
        "memory shared with NumPy, devices, autograd, cross-entropy, activations, six "
        "optimizers, and a network that reads handwritten digits",
    ),
    "004": Notebook(
        "Derivatives by example, and one training step",
        "six derivatives checked against calculus, and a linear layer, its losses and "
        "one step of an optimizer",
    ),
}
