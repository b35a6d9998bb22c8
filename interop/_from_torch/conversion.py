"""PyTorch modules as nnx models: a layer, or a Sequential of them, arguments and weights included."""

import dataclasses
import re
import sys
from collections.abc import Hashable, Iterator
from typing import Any

import jax
from flax import nnx

from .._convert.nnx import load_state_dict
from .forms import ANY, Site
from .made import Apply
from .recurrent import RECURRENT, zero_biases
from .twins import ALONE, TWINS, moved_axes


def convert(module: Any, rngs: nnx.Rngs | None = None) -> Any:
    """The twin of a layer or of a Sequential; see `from_torch`."""
    torch = sys.modules.get("torch")  # a torch module cannot be here without torch
    if torch is None or not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    conversion = _Conversion(nnx.Rngs(0) if rngs is None else rngs)
    model = conversion.twin(module, "")
    faults = [*conversion.faults, *tied(module)]
    if faults:
        lines = "\n".join(f"  {fault}" for fault in faults)
        raise ValueError(f"Flax cannot express this module as it is ({len(faults)}):\n{lines}")
    return model


@dataclasses.dataclass
class _Conversion:
    """A walk over a torch module: the layers made so far, by the module's id, and the faults found."""

    rngs: nnx.Rngs
    site: Site = dataclasses.field(default_factory=Site)
    layers: dict[Hashable, nnx.Module] = dataclasses.field(default_factory=dict)
    faults: list[str] = dataclasses.field(default_factory=list)

    def twin(self, module: Any, path: str) -> Any:
        """The twin of the module at `path`; if it has none, None, and the faults say why."""
        try:
            name = torch_class(module)
            _check_hooks(module)
            return self._sequential(module, path) if name == "Sequential" else self._layer(module, name, path)
        except ValueError as error:
            where = f'module "{path}"' if path else "the module itself"
            self.faults.append(f"{where} ({type(module).__name__}): {error}")
            self.site.forms = ANY
            return None

    def _sequential(self, module: Any, path: str) -> nnx.Sequential | None:
        # Not named_children, which leaves out what it has seen.
        items = [self.twin(child, f"{path}.{name}" if path else name) for name, child in module._modules.items()]
        return None if self.faults else nnx.Sequential(*items)

    def _layer(self, module: Any, name: str, path: str) -> Any:
        if path and name in ALONE:
            raise ValueError("it does not take one tensor and give one, so it has no place here; convert it by itself")
        build, takes = TWINS[name]
        self.site.take(takes)
        twin = build(module, self.site)
        if isinstance(twin, Apply):
            return twin.make()
        # A module that is used twice is one layer, unless it works along other axes there.
        rule = moved_axes(module, self.site)
        key = id(module), rule, repr(twin)
        if key not in self.layers:
            layer = twin.make(self.rngs)
            if isinstance(layer, nnx.BatchNorm):
                set_dtype_of_statistics(layer)
            state_dict = module.state_dict()
            if name in RECURRENT:
                state_dict |= zero_biases(module)
            if state_dict:
                load_state_dict(layer, state_dict, layouts={"*": rule} if rule else None)
            self.layers[key] = layer
        return self.layers[key]


def set_dtype_of_statistics(layer: nnx.BatchNorm) -> None:
    """Flax makes them float32 whatever param_dtype is; the layer may be abstract."""
    for statistic in (layer.mean, layer.var):
        value = statistic.get_value()
        if isinstance(value, jax.ShapeDtypeStruct):
            abstract: Any = jax.ShapeDtypeStruct(value.shape, layer.param_dtype)
            statistic.set_value(abstract)
        else:
            statistic.set_value(value.astype(layer.param_dtype))


def torch_class(module: Any) -> str:
    """The name of the torch class in the table whose instance `module` is, and whose forward method it must have."""
    import torch

    known = ("Sequential", *TWINS)
    classes = (cls for cls in type(module).__mro__ if cls.__name__ in known)
    cls = next((cls for cls in classes if cls is getattr(torch.nn, cls.__name__)), None)
    if cls is None:
        names = ", ".join(dict.fromkeys(re.sub("[123]d$", "*d", name) for name in known))
        raise ValueError(f"no twin of it is known; convert its parts one by one. Known are {names}")
    for method in ("__call__", "forward", "_conv_forward"):
        if method in vars(module) or getattr(type(module), method, None) is not getattr(cls, method, None):
            raise ValueError(f"it has a {method} of its own, not torch.nn.{cls.__name__}'s; write that part in Flax")
    if any(torch.nn.parameter.is_lazy(tensor) for tensor in (*module.parameters(False), *module.buffers(False))):
        raise ValueError("it is lazy and has no weights yet; call it once")
    return cls.__name__


def _check_hooks(module: Any) -> None:
    """Raises ValueError for code that runs besides the forward method, other than weight norm and spectral norm."""
    for fault in (*hooks(module), *parametrizations(module)):
        raise ValueError(fault)


def hooks(module: Any) -> Iterator[str]:
    """What is wrong with hooks of a module's forward method, other than weight norm and spectral norm."""
    from torch.nn.utils.spectral_norm import SpectralNorm
    from torch.nn.utils.weight_norm import WeightNorm

    for hook in (*module._forward_pre_hooks.values(), *module._forward_hooks.values()):
        if not isinstance(hook, WeightNorm | SpectralNorm):
            name = getattr(hook, "__qualname__", type(hook).__qualname__)
            yield f"it has a forward hook, {name}; remove it (pruning, with torch.nn.utils.prune.remove)"


def parametrizations(module: Any) -> Iterator[str]:
    """What is wrong with a module's parametrizations, other than weight norm and spectral norm."""
    from torch.nn.utils import parametrizations as known
    from torch.nn.utils import parametrize

    if parametrize.is_parametrized(module):
        for name, entries in module.parametrizations.items():
            kinds = [type(entry) for entry in entries]
            if kinds not in ([known._WeightNorm], [known._SpectralNorm]):
                others = ", ".join(kind.__name__ for kind in kinds)
                yield (
                    f"its {name} has the parametrization {others}, and only a weight norm or a spectral norm folds; "
                    "torch.nn.utils.parametrize.remove_parametrizations makes it plain"
                )


def tied(module: Any) -> Iterator[str]:
    """What is wrong with parameters that several modules share: in Flax they would become separate."""
    names: dict[int, list[str]] = {}
    for path, part in module.named_modules():
        for name, parameter in part.named_parameters(recurse=False, remove_duplicate=False):
            names.setdefault(id(parameter), []).append(f"{path}.{name}" if path else name)
    for shared in names.values():
        if len(shared) > 1:
            yield f"{' and '.join(shared)} are one parameter, and would be several; give each module its own"
