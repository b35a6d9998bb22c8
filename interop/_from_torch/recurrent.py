"""PyTorch's recurrent modules: a cell, or an LSTM or a GRU with all its layers and directions."""

from typing import Any

from flax import nnx

from jax_tconv.nnx import GRUCell

from .forms import Site
from .weights import ZEROS, weights

RECURRENT = {"LSTMCell", "GRUCell", "LSTM", "GRU"}


def lstm_cell(m: Any, site: Site) -> nnx.OptimizedLSTMCell:
    """The twin of an LSTMCell."""
    return nnx.OptimizedLSTMCell(m.input_size, m.hidden_size, **_arguments(m, site))


def gru_cell(m: Any, site: Site) -> nnx.GRUCell:
    """The twin of a GRUCell: Flax's own where that has all the biases."""
    return _gru_class(m)(m.input_size, m.hidden_size, **_arguments(m, site))


def rnn(m: Any, site: Site) -> nnx.Module:
    """The twin of an LSTM or a GRU: it takes what torch's takes, and gives the outputs alone."""
    if m.proj_size:
        raise ValueError(f"proj_size={m.proj_size}: Flax's LSTM does not project its outputs; set it to 0")
    cell = nnx.OptimizedLSTMCell if m.mode == "LSTM" else _gru_class(m)
    arguments, time_major = _arguments(m, site), not m.batch_first
    layers: list[nnx.Module] = []
    for n in range(m.num_layers):
        inputs = m.hidden_size * (1 + m.bidirectional) if n else m.input_size
        runs = [
            nnx.RNN(cell(inputs, m.hidden_size, **arguments), time_major=time_major) for _ in range(1 + m.bidirectional)
        ]
        if n and m.dropout:
            layers.append(nnx.Dropout(m.dropout, deterministic=not m.training, rngs=site.rngs))
        layers.append(nnx.Bidirectional(*runs, time_major=time_major) if m.bidirectional else runs[0])
    return layers[0] if len(layers) == 1 else nnx.Sequential(*layers)


def zero_biases(m: Any) -> dict[str, Any]:
    """The biases of a recurrent module that has none: Flax's cells always have them."""
    recurrent = [name for name, _ in m.named_parameters(recurse=False) if name.startswith("weight_hh")]
    if m.bias:
        return {}
    return {
        name.replace("weight_hh", bias): getattr(m, name).new_zeros(len(getattr(m, name)))
        for name in recurrent
        for bias in ("bias_ih", "bias_hh")
    }


def _arguments(m: Any, site: Site) -> dict[str, Any]:
    return {"kernel_init": ZEROS, "recurrent_kernel_init": ZEROS, **weights(m, site)}


def _gru_class(m: Any) -> type[nnx.GRUCell]:
    """Flax's own GRUCell unless a bias within the reset gate, which only ours has, is not zero."""
    inner = [bias[2 * m.hidden_size :] for name, bias in m.named_parameters() if name.startswith("bias_hh")]
    return GRUCell if any(bias.any() for bias in inner) else nnx.GRUCell
