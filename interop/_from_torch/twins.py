"""The table of PyTorch's modules: for each, the function that describes its nnx twin, and on which inputs it is one.

A function takes the torch module and its `Site` and gives the call that makes the twin, without its weights, which are
loaded later. To add a module, write its function and name both at the end. A ValueError says what Flax cannot express,
why, and what to do.
"""

from collections.abc import Callable, Set
from typing import Any

import jax.numpy as jnp
from flax import nnx

from jax_tconv.nnx import ConvTranspose, LayerNorm, PReLU

from .forms import ANY, CHANNELS_FIRST, FEATURES_LAST, LAST, MAPS, VECTOR, Site
from .functions import FUNCTIONS, Build
from .made import RNGS, Make
from .recurrent import RECURRENT, gru_cell, lstm_cell, rnn
from .weights import ZEROS, dtype, weights


def _conv(m: Any, site: Site) -> Make:
    return _window(nnx.Conv, m, padding=_conv_padding(m))


def _conv_transpose(m: Any, site: Site) -> Make:
    return _window(ConvTranspose, m, padding=m.padding, output_padding=m.output_padding)


def _window(cls: Callable[..., Any], m: Any, **padding: Any) -> Make:
    arguments = {
        "strides": m.stride,
        **padding,
        "kernel_dilation": m.dilation,
        "feature_group_count": m.groups,
        "use_bias": m.bias is not None,
        **weights(m),
    }
    sizes = m.in_channels, m.out_channels, m.kernel_size
    return Make(cls, sizes, arguments, {"kernel_init": ZEROS, "bias_init": ZEROS})


def _conv_padding(m: Any) -> Any:
    extents = [dilation * (size - 1) + 1 for size, dilation in zip(m.kernel_size, m.dilation, strict=True)]
    same = tuple(((extent - 1) // 2, extent // 2) for extent in extents)
    none = tuple((0, 0) for _ in extents)
    if isinstance(m.padding, str):
        pairs = same if m.padding == "same" else none
    else:
        pairs = tuple((rows, rows) for rows in m.padding)
    if m.padding_mode == "zeros" or pairs == none:
        return pairs
    if m.padding_mode in ("circular", "reflect") and pairs == same:
        return m.padding_mode.upper()
    pad = {"circular": "Circular", "reflect": "Reflection", "replicate": "Replication"}[m.padding_mode]
    raise ValueError(
        f"padding_mode={m.padding_mode!r} with padding={m.padding}: Flax's Conv has circular and reflect if they keep "
        f"the size; put a torch.nn.{pad}Pad{len(extents)}d before it and set padding=0"
    )


def _linear(m: Any, site: Site) -> Make:
    arguments = {"use_bias": m.bias is not None, **weights(m)}
    return Make(nnx.Linear, (m.in_features, m.out_features), arguments, {"kernel_init": ZEROS})


def _embedding(m: Any, site: Site) -> Make:
    if m.max_norm is not None:
        raise ValueError(f"max_norm={m.max_norm}: Flax's Embed leaves its vectors as they are; set it to None")
    if m.scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq=True: Flax's Embed does not scale gradients; set it to False")
    site.forms = FEATURES_LAST
    return Make(nnx.Embed, (m.num_embeddings, m.embedding_dim), weights(m), {"embedding_init": ZEROS})


def _scale(m: Any) -> dict[str, Any]:
    # torch takes the variance in two passes.
    return {"use_scale": m.weight is not None, "use_fast_variance": False, **weights(m)}


def _norm(m: Any) -> dict[str, Any]:
    return {"epsilon": m.eps, "use_bias": m.bias is not None, **_scale(m)}


def _batch_norm(m: Any, site: Site) -> Make:
    if not m.track_running_stats:
        raise ValueError("track_running_stats=False: Flax's BatchNorm always keeps running statistics; set it to True")
    if m.momentum is None:
        raise ValueError("momentum=None: Flax's BatchNorm has no cumulative average; set it to a number")
    return _with_statistics(m, momentum=round(1 - m.momentum, 15))  # 0.1 rather than 0.09999999999999998


def _with_statistics(m: Any, **arguments: Any) -> Make:
    return Make(nnx.BatchNorm, (m.num_features,), arguments | _norm(m), {"use_running_average": not m.training})


def _layer_norm(m: Any, site: Site) -> Make:
    shape = tuple(m.normalized_shape)
    if len(shape) == 1:
        site.take(FEATURES_LAST)
        return Make(nnx.LayerNorm, shape, _norm(m))
    if moved_axes(m, site):
        return Make(LayerNorm, ((*shape[1:], shape[0]),), _norm(m))
    if site.forms == {MAPS.get(len(shape))}:
        return Make(LayerNorm, (shape,), {"axes": tuple(range(-1 - len(shape), -1)), **_norm(m)})
    # Unless the layers before say that the input is a map, the axes are where they are in torch.
    site.take({LAST})
    return Make(LayerNorm, (shape,), _norm(m))


def moved_axes(m: Any, site: Site) -> str:
    """How the weights of a LayerNorm over all axes of a map are laid out on both sides; empty for any other module."""
    shape = getattr(m, "normalized_shape", ())
    if len(shape) < 2 or site.forms != {MAPS.get(len(shape) - 1)}:
        return ""
    spatial = " ".join(f"s{n}" for n in range(1, len(shape)))
    return f"c {spatial} -> {spatial} c"


def _rms_norm(m: Any, site: Site) -> Make:
    epsilon = m.eps
    if epsilon is None:
        if m.weight is None:
            raise ValueError("eps=None without a weight: torch's epsilon follows the input's dtype; set it to a number")
        epsilon = float(jnp.finfo(jnp.promote_types(dtype(m), jnp.float32)).eps)
    return Make(nnx.RMSNorm, (_normalized_axis(m),), {"epsilon": epsilon, **_scale(m)})


def _normalized_axis(m: Any) -> int:
    if len(m.normalized_shape) != 1:
        raise ValueError(f"normalized_shape={tuple(m.normalized_shape)}: Flax's weight has one axis; take the last")
    return m.normalized_shape[0]


def _group_norm(m: Any, site: Site) -> Make:
    return Make(nnx.GroupNorm, (m.num_channels,), {"num_groups": m.num_groups, **_norm(m)})


def _instance_norm(m: Any, site: Site) -> Make:
    if m.track_running_stats and m.training:
        raise ValueError(
            "track_running_stats=True in training: Flax's InstanceNorm keeps no running statistics; convert "
            "module.eval(), which becomes a BatchNorm that uses them, or set it to False"
        )
    if m.track_running_stats:
        return _with_statistics(m)
    return Make(nnx.InstanceNorm, (m.num_features,), _norm(m))


def _prelu(m: Any, site: Site) -> Make:
    if m.num_parameters != 1:
        site.take(CHANNELS_FIRST)
    arguments = {name: value for name, value in weights(m).items() if name != "rngs"}
    return Make(PReLU, () if m.num_parameters == 1 else (m.num_parameters,), arguments)


def _attention(m: Any, site: Site) -> Make:
    if not m.batch_first:
        raise ValueError("batch_first=False: Flax has the batch first; set it to True, and swap the axes of the inputs")
    return attention(m)


def attention(m: Any) -> Make:
    """The twin of a MultiheadAttention, whose inputs have the batch first in any case."""
    if m.bias_k is not None or m.add_zero_attn:
        raise ValueError("add_bias_kv or add_zero_attn: Flax's attention adds nothing to the keys; train without")
    if m.kdim != m.vdim:
        raise ValueError(f"kdim={m.kdim}, vdim={m.vdim}: in Flax they are one number; project the values before it")
    arguments = {
        "in_kv_features": None if m.kdim == m.embed_dim else m.kdim,
        "use_bias": m.in_proj_bias is not None,
        "dropout_rate": m.dropout,
        # A model that drops is in training until it is told otherwise; without this, Flax's attention refuses to run.
        **({"broadcast_dropout": False, "deterministic": False} if m.dropout else {}),
        "decode": False,
        **weights(m),
    }
    initial = {"deterministic": not m.training, "broadcast_dropout": False, "kernel_init": ZEROS}
    return Make(nnx.MultiHeadAttention, (m.num_heads, m.embed_dim), arguments, initial)


def _dropout(shared_axes: int = 0) -> Build:
    """Dropout of single numbers, or of whole maps with that many spatial axes."""
    axes = tuple(range(1, 1 + shared_axes))
    return lambda m, site: Make(
        nnx.Dropout, (m.p,), {"broadcast_dims": axes, "rngs": RNGS}, {"deterministic": not m.training}
    )


TWINS: dict[str, tuple[Build, Set[str]]] = {
    "Linear": (_linear, FEATURES_LAST),
    "Embedding": (_embedding, ANY),
    "BatchNorm1d": (_batch_norm, {VECTOR, MAPS[1]}),
    "BatchNorm2d": (_batch_norm, {MAPS[2]}),
    "BatchNorm3d": (_batch_norm, {MAPS[3]}),
    "LayerNorm": (_layer_norm, ANY),
    "RMSNorm": (_rms_norm, FEATURES_LAST),
    "GroupNorm": (_group_norm, CHANNELS_FIRST),
    "PReLU": (_prelu, ANY),
    "Dropout": (_dropout(), ANY),
    "LSTMCell": (lstm_cell, ANY),
    "GRUCell": (gru_cell, ANY),
    "LSTM": (rnn, ANY),
    "GRU": (rnn, ANY),
    "MultiheadAttention": (_attention, ANY),
}
for _spatial, _form in MAPS.items():
    TWINS |= {
        f"Conv{_spatial}d": (_conv, {_form}),
        f"ConvTranspose{_spatial}d": (_conv_transpose, {_form}),
        f"InstanceNorm{_spatial}d": (_instance_norm, {_form}),
        f"Dropout{_spatial}d": (_dropout(_spatial), {_form}),
    }
TWINS |= FUNCTIONS

# They take or give several tensors, and so have no place in a Sequential.
ALONE = {*RECURRENT, "MultiheadAttention"}
