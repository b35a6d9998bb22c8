"""JAX's transforms of the three primitives, each against plain numpy, a loop, or the untransformed op."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jax_tconv import conv_transpose, conv_transpose_saveable
from jax_tconv._call.call import OPS
from tests.cases import METHODS
from tests.compare import close

APPLY = functools.partial(conv_transpose, stride=2, padding=1, output_padding=1, groups=2)


pytestmark = pytest.mark.usefixtures("float64")


def arrays(*lead_x, lead_kernel=(), batch=2):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((*lead_x, batch, 3, 4, 4))
    kernel = rng.standard_normal((*lead_kernel, 3, 2, 4, 3))
    return jnp.asarray(x), jnp.asarray(kernel)


def ops(x, kernel):
    """The three ops as functions of two operands, with operands to go with them."""
    y = APPLY(x, kernel)
    C = lambda g, kernel: jax.linear_transpose(lambda x: APPLY(x, kernel), x)(g)[0]
    W = lambda x, g: jax.linear_transpose(lambda kernel: APPLY(x, kernel), kernel)(g)[0]
    return {"forward": (APPLY, x, kernel), "input_gradient": (C, y, kernel), "kernel_gradient": (W, x, y)}


@pytest.mark.parametrize("op", OPS)
def test_derivatives_of_every_op_to_second_order_in_both_modes(op):
    f, a, b = ops(*arrays())[op]
    check_grads(f, (a, b), order=2, modes=["fwd", "rev"])


def test_hessians_agree_in_every_mode():
    x, kernel = arrays(batch=1)
    loss = lambda kernel: (APPLY(x, kernel) ** 3).sum()
    hessian = jax.hessian(loss)(kernel)
    close(jax.jacrev(jax.jacrev(loss))(kernel), hessian)
    close(jax.jacfwd(jax.jacfwd(loss))(kernel), hessian)
    close(jax.jacrev(jax.jacfwd(loss))(kernel), hessian)


def test_gradient_penalty_is_torchs_double_backward():
    torch = pytest.importorskip("torch")
    x, kernel = arrays()

    def penalty(kernel, x):
        score = lambda x: (jnp.tanh(APPLY(x, kernel)) ** 2).sum()
        return ((jnp.sqrt((jax.grad(score)(x) ** 2).sum(axis=(1, 2, 3))) - 1) ** 2).mean()

    ours = jax.grad(penalty)(kernel, x)
    tx = torch.tensor(np.moveaxis(np.asarray(x), -1, 1), requires_grad=True)
    tk = torch.tensor(np.moveaxis(np.asarray(kernel), (-2, -1), (0, 1)), requires_grad=True)
    y = torch.nn.functional.conv_transpose2d(tx, tk, stride=2, padding=1, output_padding=1, groups=2)
    (gradient,) = torch.autograd.grad((torch.tanh(y) ** 2).sum(), tx, create_graph=True)
    ((gradient.pow(2).sum((1, 2, 3)).sqrt() - 1) ** 2).mean().backward()
    np.testing.assert_allclose(np.moveaxis(np.asarray(ours), (-2, -1), (0, 1)), tk.grad.numpy(), rtol=1e-10)


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("in_axes", [(0, None), (None, 0), (0, 0), (2, None), (None, 1), (3, 2), (-1, -1)])
def test_vmap_is_a_loop_that_stays_one_op(op, in_axes):
    f, a, b = ops(*arrays())[op]
    rng = np.random.default_rng(1)
    stacked = [
        v if axis is None else jnp.stack([v * scale for scale in rng.standard_normal(3)], axis)
        for v, axis in zip((a, b), in_axes, strict=True)
    ]
    each = [
        [v] * 3 if axis is None else list(jnp.moveaxis(v, axis, 0)) for v, axis in zip(stacked, in_axes, strict=True)
    ]
    mapped = jax.vmap(f, in_axes)
    close(mapped(*stacked), jnp.stack([f(u, v) for u, v in zip(*each, strict=True)]))
    assert str(jax.make_jaxpr(mapped)(*stacked)).count(f"conv_transpose_{op}[") == 1


@pytest.mark.parametrize("method", [None, *METHODS])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_an_empty_batch(method, groups):
    x, kernel = arrays(batch=0)
    apply = functools.partial(conv_transpose, stride=2, groups=groups, method=method)
    y, vjp = jax.vjp(apply, x, kernel[..., :1])
    assert y.shape == (0, 7, 8, groups)
    x_bar, kernel_bar = vjp(y)
    assert x_bar.shape == x.shape
    assert kernel_bar.shape == kernel[..., :1].shape
    assert (kernel_bar == 0).all()


def test_vmap_nested_and_of_size_zero():
    x, kernel = arrays(2, lead_kernel=(3,))
    both = jax.vmap(jax.vmap(APPLY, (None, 0)), (0, None))(x, kernel)
    close(both, jnp.stack([jnp.stack([APPLY(u, v) for v in kernel]) for u in x]))
    per_sample = jax.vmap(jax.vmap(APPLY))(jnp.stack([x, x, x], 1), jnp.stack([kernel, kernel]))
    close(per_sample[1, 2], APPLY(x[1], kernel[2]))
    for in_axes in [(0, None), (None, 0), (0, 0)]:
        empty = [
            jnp.zeros((0, *v.shape)) if axis == 0 else v for v, axis in zip((x[0], kernel[0]), in_axes, strict=True)
        ]
        assert jax.vmap(APPLY, in_axes)(*empty).shape == (0, 2, 6, 7, 6)


def loss(x, kernel):
    return (jnp.sin(APPLY(x, kernel))).sum()


def test_control_flow_remat_and_eager_agree():
    x, kernel = arrays()
    expected = jax.value_and_grad(loss, (0, 1))(x, kernel)
    close(jax.jit(jax.value_and_grad(loss, (0, 1)))(x, kernel), expected)
    close(jax.value_and_grad(jax.checkpoint(loss), (0, 1))(x, kernel), expected)
    by_cond = lambda x, k: jax.lax.cond(x.sum() > -1e9, loss, lambda x, k: 0.0, x, k)
    close(jax.value_and_grad(by_cond, (0, 1))(x, kernel), expected)
    by_scan = lambda x, k: jax.lax.scan(lambda total, row: (total + loss(row[None], k), None), 0.0, x)[0]
    close(jax.value_and_grad(by_scan, (0, 1))(x, kernel), expected)
    with jax.disable_jit():
        close(jax.value_and_grad(loss, (0, 1))(x, kernel), expected)


def test_eager_calls_compile_once():
    x, kernel = arrays()
    APPLY(x, kernel)
    with jax.no_tracing():
        APPLY(x, kernel)


def test_a_while_loop_a_custom_vjp_and_donated_arguments():
    x, kernel = arrays()
    expected = APPLY(x, kernel)
    steps = jax.lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] + APPLY(x, kernel)), (0, 0 * expected))
    close(steps[1], 3 * expected)

    @jax.custom_vjp
    def clipped(x, kernel):
        return APPLY(x, kernel)

    forward = lambda x, kernel: (clipped(x, kernel), (x, kernel))
    backward = lambda saved, g: jax.vjp(APPLY, *saved)[1](jnp.clip(g, -1, 1))
    clipped.defvjp(forward, backward)
    pull = lambda f, scale: jax.vjp(f, x, kernel)[1](scale * jnp.ones_like(expected))
    close(pull(clipped, 5.0), pull(APPLY, 1.0))
    donated = jax.jit(lambda x: APPLY(x, kernel)[:, ::2, ::2, :4], donate_argnums=0)(x + 0)
    close(donated, expected[:, ::2, ::2, :4])


def recomputed(policy):
    """How often T stands in the gradient's program when a nonlinear layer after it is checkpointed by this policy."""
    x, kernel = arrays()
    layer = jax.checkpoint(lambda x, kernel: jnp.tanh(APPLY(x, kernel)), policy=policy)
    gradient = jax.grad(lambda x, kernel: layer(x, kernel).sum(), (0, 1))
    close(gradient(x, kernel), jax.grad(lambda x, kernel: jnp.tanh(APPLY(x, kernel)).sum(), (0, 1))(x, kernel))
    return str(jax.make_jaxpr(gradient)(x, kernel)).count("conv_transpose_forward[")


def test_checkpoint_policies():
    policies = jax.checkpoint_policies
    assert recomputed(policies.nothing_saveable) == 2
    assert recomputed(policies.everything_saveable) == 1
    assert recomputed(conv_transpose_saveable) == 1
    assert recomputed(policies.save_from_both_policies(policies.dots_saveable, conv_transpose_saveable)) == 1


def test_per_sample_kernels_become_one_grouped_op():
    # StyleGAN2 modulates the kernel by the sample.
    x, kernel = arrays(4, lead_kernel=(4,), batch=1)
    for method, convolutions in {None: 0, "lhs_dilation": 1, "col2im": 0}.items():
        mapped = jax.vmap(functools.partial(APPLY, method=method))
        assert str(jax.make_jaxpr(mapped)(x, kernel)).count("conv_transpose_forward[") == 1
        text = jax.jit(mapped).lower(x, kernel).as_text()
        assert text.count("stablehlo.convolution") == convolutions  # on a CPU, batched products instead
        assert "stablehlo.while" not in text


@pytest.mark.parametrize("method", METHODS)
def test_every_method_under_vmap_and_second_derivatives(method):
    x, kernel = arrays(3, lead_kernel=(3,), batch=1)
    apply, plain = functools.partial(APPLY, method=method), functools.partial(APPLY, method="lhs_dilation")
    penalty = lambda f: lambda x, k: (jax.grad(lambda x: jnp.sin(f(x, k)).sum())(x) ** 2).sum()
    ours, wanted = (jax.vmap(jax.grad(penalty(f), (0, 1)))(x, kernel) for f in (apply, plain))
    close(ours, wanted)
    # However often T reappears, as an adjoint of its adjoints too, it keeps the name.
    program = str(jax.make_jaxpr(jax.grad(penalty(apply), (0, 1)))(x[0], kernel[0]))
    assert program.count("conv_transpose_") == program.count(f"method={method}") > 3


def test_shapes_only_and_ahead_of_time():
    x, kernel = arrays()
    abstract = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (x, kernel)]
    assert jax.eval_shape(APPLY, *abstract).shape == (2, 6, 7, 6)
    compiled = jax.jit(APPLY).lower(*abstract).compile()
    close(compiled(x, kernel), APPLY(x, kernel))
    (cost,) = [compiled.cost_analysis()] if isinstance(compiled.cost_analysis(), dict) else compiled.cost_analysis()
    assert cost["flops"] > 0
