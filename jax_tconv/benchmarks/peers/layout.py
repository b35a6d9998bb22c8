"""Where a library has the axes of its arrays: ours brought there, and its results brought back."""

from dataclasses import dataclass

import numpy as np

# Not `einops.rearrange`, which also tries torch.
from einops.array_api import rearrange

from ..layers import Arrays, Layer


@dataclass(frozen=True)
class Layout:
    """The axes as einops names them, with `g` for the groups, and whether the kernel is ours reversed in space.

    Left out, they are those of `Arrays`.
    """

    image: str = "n ... c"
    kernel: str = "... (g i) o"
    reverses: bool = False

    def from_ours(self, layer: Layer, arrays: Arrays) -> tuple[np.ndarray, ...]:
        """The input, the kernel and the cotangent in this layout."""
        x, g = (rearrange(image, f"{Layout.image} -> {self.image}") for image in (arrays.x, arrays.g))
        kernel = rearrange(self._turned(layer, arrays.kernel), f"{Layout.kernel} -> {self.kernel}", g=layer.groups)
        return np.ascontiguousarray(x), np.ascontiguousarray(kernel), np.ascontiguousarray(g)

    def to_ours(self, layer: Layer, *results: np.ndarray) -> tuple[np.ndarray, ...]:
        """The output, and for training the gradients in the input and in the kernel, in the layout of `Arrays`."""
        images = [rearrange(image, f"{self.image} -> {Layout.image}") for image in results[:2]]
        kernels = [rearrange(kernel, f"{self.kernel} -> {Layout.kernel}", g=layer.groups) for kernel in results[2:]]
        return *images, *(self._turned(layer, kernel) for kernel in kernels)

    def _turned(self, layer: Layer, kernel: np.ndarray) -> np.ndarray:
        return np.flip(kernel, tuple(range(layer.ndim))) if self.reverses else kernel
