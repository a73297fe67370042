"""PyTorch's activation functions, with PyTorch's derivative at every kink."""

from jaxgrad.activations._piecewise import relu as relu
from jaxgrad.activations._softmax import gumbel_softmax as gumbel_softmax
from jaxgrad.activations._softmax import log_softmax as log_softmax
from jaxgrad.activations._softmax import softmax as softmax
from jaxgrad.activations._softmax import softmax2d as softmax2d
from jaxgrad.activations._softmax import softmin as softmin
