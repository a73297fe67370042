"""PyTorch's loss functions, equal in value and gradient."""

from jaxgrad.losses._adaptive import AdaptiveOutput as AdaptiveOutput
from jaxgrad.losses._adaptive import adaptive_log_softmax as adaptive_log_softmax
from jaxgrad.losses._adaptive import (
    adaptive_log_softmax_with_loss as adaptive_log_softmax_with_loss,
)
from jaxgrad.losses._binary import binary_cross_entropy as binary_cross_entropy
from jaxgrad.losses._binary import (
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
)
from jaxgrad.losses._binary import (
    multilabel_soft_margin_loss as multilabel_soft_margin_loss,
)
from jaxgrad.losses._binary import soft_margin_loss as soft_margin_loss
from jaxgrad.losses._classification import cross_entropy as cross_entropy
from jaxgrad.losses._classification import nll_loss as nll_loss
from jaxgrad.losses._embedding import cosine_embedding_loss as cosine_embedding_loss
from jaxgrad.losses._embedding import triplet_margin_loss as triplet_margin_loss
from jaxgrad.losses._embedding import (
    triplet_margin_with_distance_loss as triplet_margin_with_distance_loss,
)
from jaxgrad.losses._likelihood import gaussian_nll_loss as gaussian_nll_loss
from jaxgrad.losses._likelihood import kl_div as kl_div
from jaxgrad.losses._likelihood import poisson_nll_loss as poisson_nll_loss
from jaxgrad.losses._linear import linear_cross_entropy as linear_cross_entropy
from jaxgrad.losses._margin import hinge_embedding_loss as hinge_embedding_loss
from jaxgrad.losses._margin import margin_ranking_loss as margin_ranking_loss
from jaxgrad.losses._margin import multi_margin_loss as multi_margin_loss
from jaxgrad.losses._margin import multilabel_margin_loss as multilabel_margin_loss
from jaxgrad.losses._regression import huber_loss as huber_loss
from jaxgrad.losses._regression import l1_loss as l1_loss
from jaxgrad.losses._regression import mse_loss as mse_loss
from jaxgrad.losses._regression import smooth_l1_loss as smooth_l1_loss
from jaxgrad.losses._sequence import ctc_loss as ctc_loss
