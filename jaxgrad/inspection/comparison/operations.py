"""One word for what an operation computes, whatever its library calls it."""

import re

# Each kind of operation, and the names that PyTorch, NumPy and JAX give it.
KINDS = {
    "matmul": "matmul dot mm bmm linear addmm baddbmm einsum tensordot dot_general "
    "dense vdot mv conv conv1d conv2d conv3d conv_general_dilated convolution "
    "conv_with_general_padding bilinear inner conv_transpose conv_transpose1d "
    "conv_transpose2d conv_transpose3d convtranspose densegeneral einsum",
    "add": "add iadd radd add_ __add__ __radd__ __iadd__ add_any",
    "subtract": "subtract sub isub rsub sub_ __sub__ __rsub__ __isub__",
    "multiply": "multiply mul imul rmul mul_ __mul__ __rmul__ __imul__ addcmul",
    "divide": "divide div truediv true_divide div_ __truediv__ __rtruediv__",
    "negative": "negative neg __neg__",
    "power": "power pow square __pow__ integer_pow float_power",
    "root": "sqrt rsqrt",
    "sum": "sum reduce_sum nansum trace",
    "mean": "mean average nanmean",
    "variance": "var std var_mean std_mean",
    "maximum": "max maximum amax clamp_min clip clamp min minimum amin",
    "softmax": "softmax log_softmax softmin",
    "loss": "cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss kl_div "
    "binary_cross_entropy binary_cross_entropy_with_logits softmax_cross_entropy "
    "softmax_cross_entropy_with_integer_labels sigmoid_binary_cross_entropy l2_loss "
    "squared_error gaussian_nll_loss poisson_nll_loss hinge_embedding_loss",
    "activation": "relu relu6 relu_ gelu silu swish mish tanh sigmoid logistic elu "
    "selu celu leaky_relu prelu softplus softsign hardtanh hardswish hardsigmoid "
    "hard_swish hard_sigmoid hard_tanh log_sigmoid logsigmoid glu expit erf soft_sign "
    "squareplus tanhshrink threshold",
    "normalization": "layer_norm batch_norm group_norm instance_norm rms_norm "
    "normalize standardize layernorm batchnorm groupnorm instancenorm rmsnorm norm",
    "pool": "max_pool max_pool1d max_pool2d max_pool3d _max_pool2d avg_pool "
    "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_max_pool2d reduce_window",
    "resize": "interpolate resize upsample",
    "dropout": "dropout dropout_ dropout2d alpha_dropout feature_dropout bernoulli",
    "attention": "scaled_dot_product_attention dot_product_attention "
    "multi_head_attention_forward multiheaddotproductattention",
    "recurrent": "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell scan",
    "embedding": "embedding take gather take_along_axis index_select index getitem "
    "__getitem__ select slice narrow select_n dynamic_slice one_hot embed",
    "scatter": "index_add index_add_ scatter_add scatter_add_ scatter scatter_ "
    "scatter_reduce scatter_reduce_ segment_sum segment_mean segment_max segment_min "
    "segment_prod index_put index_put_ index_copy index_copy_ scatter_max scatter_min "
    "scatter_mul bincount",
    "mask": "where masked_fill masked_fill_ tril triu",
    "split": "split chunk unbind tensor_split array_split",
    "join": "cat concat concatenate stack hstack vstack pad",
    "layout": "reshape view flatten ravel transpose permute swapaxes moveaxis t "
    "squeeze unsqueeze expand_dims contiguous expand broadcast_to T mT rearrange "
    "movedim unflatten view_as expand_as broadcast_in_dim clone copy "
    "atleast_1d atleast_2d contiguous expand repeat tile roll flip",
    "cast": "astype to float double convert_element_type half bfloat16 type_as type",
    "detach": "detach stop_gradient detach_",
    "exponential": "exp expm1",
    "logarithm": "log log1p log2 log10",
    "logsumexp": "logsumexp",
    "absolute": "abs absolute fabs",
    "constant": "zeros ones full zeros_like ones_like arange tensor array asarray eye "
    "linspace full_like empty tril_indices as_tensor",
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names.split()}
# Kinds that rearrange, choose or copy elements, and compute nothing.
MOVING = {"layout", "split", "join", "embedding", "detach"}
# Kinds whose rounding errors are as large as what they add up.
ADDING = {"add", "subtract", "sum", "mean", "matmul", "variance"}


def plain_name(operation: str) -> str:
    """The name without a module, arguments, or a note in parentheses."""
    name = re.split(r"[(\s\[]", operation.strip())[0].rpartition(".")[2]
    return name.strip("_") if name.strip("_") in KIND_OF else name


def kind_of(operation: str) -> str:
    """The kind of an operation; its own name if the table does not list it."""
    name = plain_name(operation)
    return KIND_OF.get(name, KIND_OF.get(name.lower(), name.lower()))
