"""Cases of the functions of `composed.py`."""

from typing import Any

import numpy as np

from tests.case import Case, numbers

SEEN = np.array([[True, False, True], [False, True, False]])


def _attention(note: str, *, kv: int = 4, own: bool = False, **options: Any) -> Case:
    """Two queries and three keys in a batch of 2; `own`: one weight per projection."""
    arrays = {
        "query": numbers(2, 2, 4),
        "key": numbers(3, 2, kv, start=5),
        "value": numbers(3, 2, kv, start=9),
    }
    weights = {"in_proj_weight": numbers(12, 4, start=3) / 4}
    if own:
        weights = {
            "q_proj_weight": numbers(4, 4) / 4,
            "k_proj_weight": numbers(4, kv, start=4) / 4,
            "v_proj_weight": numbers(4, kv, start=8) / 4,
        }
    others = {
        "in_proj_bias": numbers(12, start=2) / 2,
        "out_proj_weight": numbers(4, 4, start=6) / 2,
        "out_proj_bias": numbers(4, start=1) / 2,
    }
    if options.pop("extra", False):
        others |= {"bias_k": numbers(1, 1, 4), "bias_v": numbers(1, 1, 4, start=7)}
    options = {"num_heads": 2} | options
    return Case("multi_head_attention", note, arrays | weights | others, options)


def _adaptive(note: str, target: Any, *, bias: bool = False, features: int = 3) -> Case:
    """Three frequent classes, clusters of two and four rare ones."""
    arrays = {
        "x": numbers(*np.shape(target), features),
        "head": numbers(5, features, start=3),
        "narrow0": numbers(2, features, start=1),
        "cluster0": numbers(2, 2, start=6),
        "narrow1": numbers(1, features, start=4),
        "cluster1": numbers(4, 1, start=2),
    }
    if bias:
        arrays |= {"bias": numbers(5, start=8)}
    options = {"target": np.array(target)}
    return Case("adaptive_log_softmax_with_loss", note, arrays, options)


ATTENTION = [
    _attention("plain"),
    _attention("one head, no weights", num_heads=1, need_weights=False),
    _attention("each head's weights", average_attn_weights=False),
    _attention("mask", attn_mask=SEEN),
    _attention("padding", key_padding_mask=SEEN),
    _attention("bias of keys and values", extra=True),
    _attention("a zero key", add_zero_attn=True),
    _attention("weights of their own", own=True, kv=3),
]
ADAPTIVE = [
    _adaptive("every kind of class", [0, 8, 3, 5, 2, 4]),
    _adaptive("bias", [6, 1, 4, 7], bias=True),
    _adaptive("frequent only", [0, 1, 2]),
    _adaptive("rare only", [8, 7]),
    _adaptive("single sample", 5, bias=True),
]
