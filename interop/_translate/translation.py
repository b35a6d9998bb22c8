"""`translate`: a PyTorch module as Flax source; and `from_torch`: as an nnx model, which that source makes."""

import dataclasses
import inspect
import linecache
import sys
import types
from typing import Any

from flax import nnx

from .._convert.nnx import load_state_dict
from .._from_torch.conversion import convert, set_dtype_of_statistics
from .graph import Refusal


class TranslationError(ValueError):
    """What of a network cannot be translated, all of it.

    Attributes:
      refusals: each as text: the module's path, the line of PyTorch code, the reason, and what would do.
    """

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = [str(refusal) for refusal in refusals]
        lines = "\n".join(f"  {refusal}" for refusal in self.refusals)
        super().__init__(f"this network cannot be translated as it is ({len(refusals)}):\n{lines}")


@dataclasses.dataclass(frozen=True)
class Translation:
    """A network as source.

    Attributes:
      source: the text of a Python file.
      name: the class of the whole network in it.
      axes: how the axes of what the network takes and gives stand in torch and in Flax, as `verify` takes it.
    """

    source: str
    name: str
    axes: dict[str, str]

    def load(self) -> Any:
        """The class of the whole network."""
        filename = f"<{self.name}, translated>"
        linecache.cache[filename] = (len(self.source), None, self.source.splitlines(keepends=True), filename)
        module = types.ModuleType(f"translated_{self.name}")
        exec(compile(self.source, filename, "exec"), vars(module))
        return getattr(module, self.name)

    def make(self, rngs: nnx.Rngs | None = None) -> nnx.Module:
        """The nnx model: with initial values if `rngs` is given, otherwise abstract, as `nnx.eval_shape` gives it."""
        cls = self.load()
        if "rngs" not in inspect.signature(cls.__init__).parameters:
            return cls()
        return nnx.eval_shape(lambda: cls(rngs=nnx.Rngs(0))) if rngs is None else cls(rngs=rngs)


def translate(module: Any, *inputs: Any, linen: bool = False, partial: bool = False) -> str:
    """The source of a Flax model, nnx or linen, that computes what a PyTorch module computes.

    The module is run once on the inputs, and what it calls is written down: a class for each of its classes, under the
    names of its attributes, so that `load_state_dict` fills the model without `rename`, and `linen_variables` that of
    linen. Maps have their channels last, as the docstrings of the classes say. Dropout and BatchNorm follow
    `model.train()` and `model.eval()`, in linen the field `train`; whatever else the module does otherwise in training
    is not seen.

    In linen, buffers are in the collection "batch_stats"; a Sequential by another name becomes a function that makes
    it; what several modules share is a field of the later ones; and what the module does not call, of which linen has
    no arrays, is left out and named in `torch_only`.

    Branches are those that the module takes on these inputs. Sizes are kept as what they are sizes of, so that other
    batches and images can be given where the module takes them.

    Args:
      module: the torch module; it is run in evaluation mode and left as it was.
      *inputs: what it is called with: tensors, and whatever else it takes, which becomes a part of the source.
      linen: whether the source is in linen rather than in nnx.
      partial: whether what cannot be translated is left out, each place with a `NotImplementedError` that says why.

    Returns:
      The text of a Python file, formatted by ruff. The last class is the whole network; in nnx it is made with `rngs=`.

    Raises:
      TypeError: `module` is not a torch module, or there are no inputs.
      TranslationError: what cannot be translated, all of it, unless `partial`.
      ValueError: what the module raises on these inputs.

    Example:
      >>> import torch
      >>> from jax_tconv import interop
      >>> network = torch.nn.Sequential(torch.nn.ConvTranspose2d(3, 8, 4, stride=2, padding=1), torch.nn.ReLU())
      >>> images = torch.ones(1, 3, 16, 16)
      >>> source = interop.translate(network, images)
      >>> "ConvTranspose(3, 8, (4, 4), strides=2, padding=1, rngs=rngs)" in source
      True
      >>> "ConvTranspose(8, (4, 4), strides=2, padding=1)" in interop.translate(network, images, linen=True)
      True
    """
    return translated(module, inputs, partial, linen).source


def from_torch(module: Any, *inputs: Any, rngs: nnx.Rngs | None = None) -> Any:
    """The nnx twin of a PyTorch module: built with its arguments, filled with its weights, in its mode.

    With inputs, `module` is anything that `translate` can write: it is translated on them, and the model is made from
    that source.

    Without inputs it is a ConvTranspose (which becomes this library's), another layer or an activation that Flax has,
    or an `nn.Sequential` of them, nested or not, which becomes an `nnx.Sequential`. What PyTorch takes as
    `(N, C, *spatial)` the result takes, and gives, as `(N, *spatial, C)`; vectors, and sequences of vectors or of
    indices (for a Linear, a LayerNorm, an Embedding, an LSTM, attention), are the same for both. A Flatten keeps
    PyTorch's order, channels first; as the first layer it takes maps, channels last. A BatchNorm1d, a GroupNorm, or a
    PReLU with a slope per channel takes vectors beside a Linear. A LayerNorm over several axes takes maps after a layer
    that gives them, and has the same axes in both elsewhere.

    Weight norm and spectral norm are folded into the weight, as PyTorch has it in evaluation. Modules in training stay
    in training (`model.eval()` ends it) and compute the same, apart from what Dropout drops. What they learn can
    differ: Flax's BatchNorm adds the biased variance to its running one, folded norms are no longer updated, and an
    Embedding has no padding_idx. An InstanceNorm with running statistics becomes, in evaluation, a BatchNorm, and in
    training it is refused.

    Args:
      module: the torch module; it is not changed.
      *inputs: what it is called with, as for `translate`; a layer or a Sequential needs none.
      rngs: what Dropout draws from in training; None means `nnx.Rngs(0)`.

    Returns:
      An nnx module; without inputs, for an activation by itself, a function. Of a layer by itself: a cell's carry is
      Flax's, `(c, h)` for an LSTMCell; attention gives its output without the weights, and an LSTM or a GRU its outputs
      without the state.

    Raises:
      TypeError: `module` is not a torch module.
      ValueError: what Flax cannot express, all of it, with the place, the reason and what to do; including hooks,
        overridden forward methods, and parameters that several modules share. With inputs, a `TranslationError`.

    Example:
      >>> import jax.numpy as jnp, torch
      >>> from jax_tconv import interop
      >>> decoder = torch.nn.Sequential(torch.nn.ConvTranspose2d(8, 4, 2, stride=2), torch.nn.ReLU())
      >>> interop.from_torch(decoder)(jnp.ones((1, 16, 16, 8))).shape
      (1, 32, 32, 4)
    """
    if not inputs:
        return convert(module, rngs)
    model = translated(module, inputs).make(rngs)
    for part in nnx.iter_modules(model):
        if isinstance(part[1], nnx.BatchNorm):
            set_dtype_of_statistics(part[1])
    load_state_dict(model, module.state_dict())
    if not module.training:
        model.eval()
    return model


def translated(module: Any, inputs: tuple[Any, ...], partial: bool = False, linen: bool = False) -> Translation:
    """The translation of a module that is called with these inputs."""
    torch = sys.modules.get("torch")  # a torch module cannot be here without torch
    if torch is None or not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    if not inputs:
        raise TypeError("inputs must be what the torch module is called with; got none")
    from .writing import write

    return write(module, inputs, partial, linen)
