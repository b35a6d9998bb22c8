"""PyTorch's recurrent modules: a cell, or an LSTM or a GRU with all its layers and directions."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from jax_tconv.nnx import GRUCell

from .forms import Site
from .made import RNGS, Make
from .weights import ZEROS, weights

RECURRENT = {"LSTMCell", "GRUCell", "LSTM", "GRU"}


def lstm_cell(m: Any, site: Site) -> Make:
    """The twin of an LSTMCell."""
    return _cell(nnx.OptimizedLSTMCell, m, m.input_size)


def gru_cell(m: Any, site: Site) -> Make:
    """The twin of a GRUCell: Flax's own where that has all the biases."""
    return _cell(_gru_class(m), m, m.input_size)


def rnn(m: Any, site: Site) -> Make:
    """The twin of an LSTM or a GRU: it takes what torch's takes, and gives the outputs alone."""
    if m.proj_size:
        raise ValueError(f"proj_size={m.proj_size}: Flax's LSTM does not project its outputs; set it to 0")
    cell = nnx.OptimizedLSTMCell if m.mode == "LSTM" else _gru_class(m)
    order = {"time_major": not m.batch_first}
    layers: list[Make] = []
    for n in range(m.num_layers):
        inputs = m.hidden_size * (1 + m.bidirectional) if n else m.input_size
        run = Make(nnx.RNN, (_cell(cell, m, inputs),), order)
        if n and m.dropout:
            layers.append(Make(nnx.Dropout, (m.dropout,), {"rngs": RNGS}, {"deterministic": not m.training}))
        layers.append(Make(nnx.Bidirectional, (run, run), order) if m.bidirectional else run)
    return layers[0] if len(layers) == 1 else Make(nnx.Sequential, tuple(layers))


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


def _cell(cls: Callable[..., Any], m: Any, inputs: int) -> Make:
    initial = {"kernel_init": ZEROS, "recurrent_kernel_init": ZEROS}
    return Make(cls, (inputs, m.hidden_size), weights(m), initial)


def _gru_class(m: Any) -> type[nnx.GRUCell]:
    """Flax's own GRUCell unless a bias within the reset gate, which only ours has, is not zero."""
    inner = [bias[2 * m.hidden_size :] for name, bias in m.named_parameters() if name.startswith("bias_hh")]
    return GRUCell if any(bias.any() for bias in inner) else nnx.GRUCell
