"""The table of PyTorch's modules: for each, the function that builds its nnx twin, and the inputs on which it is one.

A function takes the torch module and its `Site` and passes the arguments on; the weights are loaded later. To add a
module, write its function and name both at the end. A ValueError says what Flax cannot express, why, and what to do.
"""

from collections.abc import Set
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jax_tconv.nnx import ConvTranspose

from .forms import ANY, CHANNELS_FIRST, FEATURES_LAST, MAPS, VECTOR, Site
from .functions import FUNCTIONS, Build

_ZEROS = nnx.initializers.zeros_init()


def _dtype(m: Any) -> Any:
    """The dtype of the module's weights."""
    tensors = (*m.parameters(), *m.buffers())
    if not tensors:
        return jnp.dtype(jnp.float32)
    dtype = jnp.dtype(str(tensors[0].dtype).removeprefix("torch."))
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(
            f'its weights are {dtype}, which JAX has only after jax.config.update("jax_enable_x64", True); '
            "do that, or convert module.float()"
        )
    return dtype


def _weights(m: Any, site: Site) -> dict[str, Any]:
    """The arguments of any layer with weights, which are loaded later."""
    return {"param_dtype": _dtype(m), "rngs": site.rngs}


def _window(m: Any, site: Site) -> dict[str, Any]:
    return {
        "in_features": m.in_channels,
        "out_features": m.out_channels,
        "kernel_size": m.kernel_size,
        "strides": m.stride,
        "kernel_dilation": m.dilation,
        "feature_group_count": m.groups,
        "use_bias": m.bias is not None,
        "kernel_init": _ZEROS,
        "bias_init": _ZEROS,
        **_weights(m, site),
    }


def _conv(m: Any, site: Site) -> nnx.Conv:
    return nnx.Conv(padding=_conv_padding(m), **_window(m, site))


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


def _conv_transpose(m: Any, site: Site) -> ConvTranspose:
    return ConvTranspose(padding=m.padding, output_padding=m.output_padding, **_window(m, site))


def _linear(m: Any, site: Site) -> nnx.Linear:
    use_bias = m.bias is not None
    return nnx.Linear(m.in_features, m.out_features, use_bias=use_bias, kernel_init=_ZEROS, **_weights(m, site))


def _embedding(m: Any, site: Site) -> nnx.Embed:
    if m.max_norm is not None:
        raise ValueError(f"max_norm={m.max_norm}: Flax's Embed leaves its vectors as they are; set it to None")
    if m.scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq=True: Flax's Embed does not scale gradients; set it to False")
    site.forms = FEATURES_LAST
    return nnx.Embed(m.num_embeddings, m.embedding_dim, embedding_init=_ZEROS, **_weights(m, site))


def _scale(m: Any, site: Site) -> dict[str, Any]:
    # torch takes the variance in two passes.
    return {"use_scale": m.weight is not None, "use_fast_variance": False, **_weights(m, site)}


def _norm(m: Any, site: Site) -> dict[str, Any]:
    return {"epsilon": m.eps, "use_bias": m.bias is not None, **_scale(m, site)}


def _batch_norm(m: Any, site: Site) -> nnx.BatchNorm:
    if not m.track_running_stats:
        raise ValueError("track_running_stats=False: Flax's BatchNorm always keeps running statistics; set it to True")
    if m.momentum is None:
        raise ValueError("momentum=None: Flax's BatchNorm has no cumulative average; set it to a number")
    mode = {"momentum": 1 - m.momentum, "use_running_average": not m.training}
    layer = nnx.BatchNorm(m.num_features, **mode, **_norm(m, site))
    # Flax makes these float32 whatever param_dtype is.
    for statistic in (layer.mean, layer.var):
        statistic.set_value(statistic[...].astype(_dtype(m)))
    return layer


def _layer_norm(m: Any, site: Site) -> nnx.LayerNorm:
    return nnx.LayerNorm(_normalized_axis(m), **_norm(m, site))


def _rms_norm(m: Any, site: Site) -> nnx.RMSNorm:
    epsilon = m.eps
    if epsilon is None:
        if m.weight is None:
            raise ValueError("eps=None without a weight: torch's epsilon follows the input's dtype; set it to a number")
        epsilon = float(jnp.finfo(jnp.promote_types(_dtype(m), jnp.float32)).eps)
    return nnx.RMSNorm(_normalized_axis(m), epsilon=epsilon, **_scale(m, site))


def _normalized_axis(m: Any) -> int:
    if len(m.normalized_shape) != 1:
        raise ValueError(f"normalized_shape={tuple(m.normalized_shape)}: Flax's weight has one axis; take the last")
    return m.normalized_shape[0]


def _group_norm(m: Any, site: Site) -> nnx.GroupNorm:
    return nnx.GroupNorm(m.num_channels, m.num_groups, **_norm(m, site))


def _instance_norm(m: Any, site: Site) -> nnx.InstanceNorm:
    if m.track_running_stats:
        raise ValueError("track_running_stats=True: Flax's InstanceNorm keeps no running statistics; set it to False")
    return nnx.InstanceNorm(m.num_features, **_norm(m, site))


def _prelu(m: Any, site: Site) -> nnx.PReLU:
    if m.num_parameters != 1:
        raise ValueError(f"num_parameters={m.num_parameters}: Flax's PReLU has one slope for all channels; use one")
    return nnx.PReLU(param_dtype=_dtype(m))


def _cell(m: Any, site: Site) -> dict[str, Any]:
    return {"kernel_init": _ZEROS, "recurrent_kernel_init": _ZEROS, **_weights(m, site)}


def _lstm_cell(m: Any, site: Site) -> nnx.OptimizedLSTMCell:
    return nnx.OptimizedLSTMCell(m.input_size, m.hidden_size, **_cell(m, site))


def _gru_cell(m: Any, site: Site) -> nnx.GRUCell:
    if m.bias and m.bias_hh[2 * m.hidden_size :].any():
        raise ValueError(
            "the last third of bias_hh is not zero, and nnx's GRUCell has no bias within the reset gate; "
            "linen's has, and interop.linen_variables fills it"
        )
    return nnx.GRUCell(m.input_size, m.hidden_size, **_cell(m, site))


def _attention(m: Any, site: Site) -> nnx.MultiHeadAttention:
    if not m.batch_first:
        raise ValueError("batch_first=False: Flax has the batch first; set it to True, and swap the axes of the inputs")
    if m.bias_k is not None or m.add_zero_attn:
        raise ValueError("add_bias_kv or add_zero_attn: Flax's attention adds nothing to the keys; train without")
    if m.kdim != m.vdim:
        raise ValueError(f"kdim={m.kdim}, vdim={m.vdim}: in Flax they are one number; project the values before it")
    return nnx.MultiHeadAttention(
        m.num_heads,
        m.embed_dim,
        in_kv_features=m.kdim,
        use_bias=m.in_proj_bias is not None,
        dropout_rate=m.dropout,
        broadcast_dropout=False,
        deterministic=not m.training,
        decode=False,
        kernel_init=_ZEROS,
        **_weights(m, site),
    )


def _dropout(shared_axes: int = 0) -> Build:
    """Dropout of single numbers, or of whole maps with that many spatial axes."""
    axes = tuple(range(1, 1 + shared_axes))
    return lambda m, site: nnx.Dropout(m.p, broadcast_dims=axes, deterministic=not m.training, rngs=site.rngs)


TWINS: dict[str, tuple[Build, Set[str]]] = {
    "Linear": (_linear, FEATURES_LAST),
    "Embedding": (_embedding, ANY),
    "BatchNorm1d": (_batch_norm, {VECTOR, MAPS[1]}),
    "BatchNorm2d": (_batch_norm, {MAPS[2]}),
    "BatchNorm3d": (_batch_norm, {MAPS[3]}),
    "LayerNorm": (_layer_norm, FEATURES_LAST),
    "RMSNorm": (_rms_norm, FEATURES_LAST),
    "GroupNorm": (_group_norm, CHANNELS_FIRST),
    "PReLU": (_prelu, ANY),
    "Dropout": (_dropout(), ANY),
    "LSTMCell": (_lstm_cell, ANY),
    "GRUCell": (_gru_cell, ANY),
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
ALONE = {"LSTMCell", "GRUCell", "MultiheadAttention"}
