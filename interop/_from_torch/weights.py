"""The arguments of any layer with weights."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from .made import RNGS

ZEROS = nnx.initializers.zeros_init()


def dtype(m: Any) -> Any:
    """The dtype of the module's weights."""
    tensors = (*m.parameters(), *m.buffers())
    if not tensors:
        return jnp.dtype(jnp.float32)
    found = jnp.dtype(str(tensors[0].dtype).removeprefix("torch."))
    if jax.dtypes.canonicalize_dtype(found) != found:
        raise ValueError(
            f'its weights are {found}, which JAX has only after jax.config.update("jax_enable_x64", True); '
            "do that, or convert module.float()"
        )
    return found


def weights(m: Any) -> dict[str, Any]:
    """The arguments of any layer with weights, which are loaded later."""
    found = dtype(m)
    return {"rngs": RNGS} if found == jnp.float32 else {"param_dtype": found, "rngs": RNGS}
