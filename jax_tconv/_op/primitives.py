"""One bilinear map and its two adjoints, as three JAX primitives closed under transposition.

    forward: x, w -> y            the transposed convolution
    input_gradient: y, w -> x     a strided convolution: its adjoint in x
    kernel_gradient: x, y -> w    its adjoint in w

The adjoint of any of them in an operand is the op that computes that operand. So derivatives of every order, forward
and reverse, stay within the three, and each op is computed by whichever algorithm suits it where it is lowered.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla
from jax.typing import DTypeLike

from jax_tconv._call.arguments import Method
from jax_tconv._call.call import OP_COMPUTING, OPERANDS, OPS, RESULT, Call, Op
from jax_tconv._call.geometry import Geometry
from jax_tconv._methods import SINGLE_SUM
from jax_tconv._methods.products import Sums
from jax_tconv._op import sharding
from jax_tconv._op.batching import batch_rule
from jax_tconv._selection.select import PLATFORMS, Platform, check_size, choose

PRIMITIVES = {op: Primitive(f"conv_transpose_{op}") for op in OPS}


def bind(
    op: Op, a: Any, b: Any, *, geometry: Geometry, dtype: DTypeLike, method: Method | None, precision: Any
) -> jax.Array:
    """Applies `op` to its two operands, in the canonical layout; the result has dtype `dtype`."""
    check_size(method, Call.of(op, a.shape, b.shape, geometry))
    a, b = sharding.vary_alike(a, b)
    return PRIMITIVES[op].bind(a, b, geometry=geometry, dtype=np.dtype(dtype), method=method, precision=precision)


def _abstract_eval(op: Op, a: Any, b: Any, *, geometry: Geometry, dtype: np.dtype[Any], **_: Any) -> Any:
    shape = Call.of(op, a.shape, b.shape, geometry).shape(RESULT[op])
    return a.update(shape=shape, dtype=dtype, weak_type=False, sharding=sharding.result_sharding(op, a, b, geometry))


def _transpose(op: Op, position: int, cotangent: Any, a: Any, b: Any, **params: Any) -> jax.Array:
    """The adjoint of `op` in the operand at `position`, where `a` or `b` holds the abstract value only."""
    arrays = dict(zip(OPERANDS[op], (a, b), strict=True)) | {RESULT[op]: cotangent}
    wanted = OPERANDS[op][position]
    adjoint = OP_COMPUTING[wanted]
    operands = (arrays[role] for role in OPERANDS[adjoint])
    aval = arrays[wanted].aval
    return sharding.sharded_as(bind(adjoint, *operands, **params | {"dtype": aval.dtype}), aval)


def _compute(
    op: Op,
    platform: Platform | None,
    several_devices: bool,
    a: jax.Array,
    b: jax.Array,
    *,
    geometry: Geometry,
    dtype: np.dtype[Any],
    method: Method | None,
    precision: Any,
) -> jax.Array:
    """`op` by the method chosen for it: the operands in one dtype, the sums in float32 at least."""
    operand_dtype = jnp.result_type(a, b)
    dtypes = {"dtype": operand_dtype.name, "result_dtype": dtype.name}
    call = Call.of(op, a.shape, b.shape, geometry, several_devices=several_devices, **dtypes)
    choice = choose(op, call, platform, method)
    accumulate = jnp.promote_types(jnp.promote_types(operand_dtype, dtype), jnp.float32)
    if jnp.finfo(operand_dtype).bits >= 32:
        operand_dtype = accumulate
    elif platform in ("cuda", "rocm") and choice.method in SINGLE_SUM:
        # XLA matches cuDNN's backward-data only where operands and result have one dtype. Of halves cuDNN makes sums in
        # float32 that it rounds once; for a wider result the operands are widened, which keeps their products exact.
        operand_dtype = accumulate = operand_dtype if dtype == operand_dtype else accumulate
    if choice.method == "fused":
        # It sums in float32 whatever it stores.
        accumulate = dtype
    sums = Sums(precision, accumulate, choice.whole, several_devices)
    # The name under which a profile shows what follows.
    with jax.named_scope(f"conv_transpose.{op}.{choice.method}"):
        a, b = (lax.convert_element_type(v, operand_dtype) for v in (a, b))
        return lax.convert_element_type(choice.compute(a, b, geometry, sums), dtype)


def _lower(op: Op, platform: Platform | None, context: mlir.LoweringRuleContext, a: Any, b: Any, **params: Any) -> Any:
    several = sharding.several_devices(context)

    def lowered(a: jax.Array, b: jax.Array, **params: Any) -> jax.Array:
        compute = functools.partial(_compute, op, platform, several, **params)
        return sharding.lower_automatically(compute, a, b, op, params["geometry"])

    return mlir.lower_fun(lowered, multiple_results=False)(context, a, b, **params)


for _op, _primitive in PRIMITIVES.items():
    # apply_primitive caches what it compiles; jax.jit made anew at each call would compile at each call.
    _primitive.def_impl(functools.partial(xla.apply_primitive, _primitive))
    _primitive.def_abstract_eval(functools.partial(_abstract_eval, _op))
    ad.defbilinear(_primitive, *(functools.partial(_transpose, _op, position) for position in (0, 1)))
    batching.primitive_batchers[_primitive] = functools.partial(batch_rule, _op, bind)
    for _platform in (None, *PLATFORMS):
        mlir.register_lowering(_primitive, functools.partial(_lower, _op, _platform), platform=_platform)
