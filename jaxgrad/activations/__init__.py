"""PyTorch's activation functions, with PyTorch's derivative at every kink."""

from jaxgrad.activations._attention import (
    scaled_dot_product_attention as scaled_dot_product_attention,
)
from jaxgrad.activations._catalogue import CATALOGUE as CATALOGUE
from jaxgrad.activations._exponential import celu as celu
from jaxgrad.activations._exponential import elu as elu
from jaxgrad.activations._exponential import logsigmoid as logsigmoid
from jaxgrad.activations._exponential import selu as selu
from jaxgrad.activations._exponential import softplus as softplus
from jaxgrad.activations._gated import gelu as gelu
from jaxgrad.activations._gated import glu as glu
from jaxgrad.activations._leaky import leaky_relu as leaky_relu
from jaxgrad.activations._leaky import prelu as prelu
from jaxgrad.activations._leaky import rrelu as rrelu
from jaxgrad.activations._multi_head import multi_head_attention as multi_head_attention
from jaxgrad.activations._piecewise import hardshrink as hardshrink
from jaxgrad.activations._piecewise import hardsigmoid as hardsigmoid
from jaxgrad.activations._piecewise import hardswish as hardswish
from jaxgrad.activations._piecewise import hardtanh as hardtanh
from jaxgrad.activations._piecewise import relu as relu
from jaxgrad.activations._piecewise import relu6 as relu6
from jaxgrad.activations._piecewise import softshrink as softshrink
from jaxgrad.activations._piecewise import threshold as threshold
from jaxgrad.activations._sigmoid import mish as mish
from jaxgrad.activations._sigmoid import sigmoid as sigmoid
from jaxgrad.activations._sigmoid import silu as silu
from jaxgrad.activations._sigmoid import softsign as softsign
from jaxgrad.activations._sigmoid import tanh as tanh
from jaxgrad.activations._sigmoid import tanhshrink as tanhshrink
from jaxgrad.activations._softmax import gumbel_softmax as gumbel_softmax
from jaxgrad.activations._softmax import log_softmax as log_softmax
from jaxgrad.activations._softmax import softmax as softmax
from jaxgrad.activations._softmax import softmax2d as softmax2d
from jaxgrad.activations._softmax import softmin as softmin
