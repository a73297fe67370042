"""PyTorch's initializers, as functions of a PRNG key.

`kaiming_uniform(a=0.1)` returns an initializer `init(key, shape, dtype)`, like those of
`jax.nn.initializers`; `zeros`, `ones` and `eye` are initializers themselves. Kernels
have torch's axes, `(out, in, *kernel)`; for Flax's, `(*kernel, in, out)`, pass
`in_axis=-2, out_axis=-1`:

    flax.linen.Dense(100, kernel_init=linear_weight(in_axis=-2, out_axis=-1))

The random numbers are JAX's. As in torch, they are drawn in float32 or wider and then
rounded: in bfloat16, `jax.random.uniform` returns only 128 different numbers.
"""

from jaxgrad.initializers._filled import constant as constant
from jaxgrad.initializers._filled import normal as normal
from jaxgrad.initializers._filled import ones as ones
from jaxgrad.initializers._filled import trunc_normal as trunc_normal
from jaxgrad.initializers._filled import uniform as uniform
from jaxgrad.initializers._filled import zeros as zeros
from jaxgrad.initializers._scaled import calculate_gain as calculate_gain
from jaxgrad.initializers._scaled import kaiming_normal as kaiming_normal
from jaxgrad.initializers._scaled import kaiming_uniform as kaiming_uniform
from jaxgrad.initializers._scaled import linear as linear
from jaxgrad.initializers._scaled import linear_bias as linear_bias
from jaxgrad.initializers._scaled import linear_weight as linear_weight
from jaxgrad.initializers._scaled import xavier_normal as xavier_normal
from jaxgrad.initializers._scaled import xavier_uniform as xavier_uniform
from jaxgrad.initializers._structured import dirac as dirac
from jaxgrad.initializers._structured import eye as eye
from jaxgrad.initializers._structured import orthogonal as orthogonal
from jaxgrad.initializers._structured import sparse as sparse
