"""The rules that choose a method: pure, alike in every context, and good for what they are there for."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import conv_transpose, select_method
from jax_tconv._call.call import OPS
from jax_tconv._methods import METHODS
from jax_tconv._selection.select import PLATFORMS
from tests.cases import CASES


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_choice_has_a_form_of_its_op_and_a_reason(case, op, platform):
    x, kernel = case.draw()
    for method in (None, *METHODS):
        if method == "fused":
            continue
        choice = select_method(
            (None, *x.shape[1:]), kernel.shape, method=method, op=op, platform=platform, **case.arguments
        )
        assert hasattr(METHODS[choice.method], op)
        assert len(choice.reason) > 10
        if method and hasattr(METHODS[method], op):
            assert choice.method == method


# Input, kernel (both channels last), arguments; methods of the op and its two gradients: what the rules reason from.
ON_A_CPU = {
    "dcgan, 1x1 to 4x4": ((64, 1, 1, 100), (4, 4, 100, 512), {}, "col2im col2im taps"),
    "dcgan, the third": ((64, 8, 8, 256), (4, 4, 256, 128), {"stride": 2, "padding": 1}, "im2col col2im taps"),
    "dcgan, to 3 channels": (
        (64, 32, 32, 64),
        (4, 4, 64, 3),
        {"stride": 2, "padding": 1},
        "subpixel lhs_dilation col2im",
    ),
    "u-net": ((1, 64, 64, 512), (2, 2, 512, 256), {"stride": 2}, "col2im subpixel subpixel"),
    "pix2pix, 2x2": ((1, 2, 2, 1024), (4, 4, 1024, 512), {"stride": 2, "padding": 1}, "subpixel taps taps"),
    "cyclegan": ((1, 64, 64, 256), (3, 3, 256, 128), {"stride": 2, "padding": 1}, "col2im col2im taps"),
    "k5, a batch": ((64, 8, 8, 256), (5, 5, 256, 128), {"stride": 2, "padding": 2}, "im2col col2im taps"),
    "fcn-8s": ((1, 70, 70, 21), (16, 16, 21, 21), {"stride": 8}, "im2col subpixel subpixel"),
    "hifi-gan": ((1, 128, 512), (16, 512, 256), {"stride": 8, "padding": 4}, "col2im lhs_dilation taps"),
    "psmnet": ((1, 12, 16, 32, 64), (3, 3, 3, 64, 32), {"stride": 2, "padding": 1}, "im2col col2im col2im"),
    "depthwise": ((1, 64, 64, 64), (4, 4, 64, 1), {"stride": 2, "groups": 64}, "taps taps taps"),
}


@pytest.mark.parametrize("layer", ON_A_CPU)
def test_the_rules_for_a_cpu_on_the_layers_they_were_made_for(layer):
    x_shape, kernel_shape, arguments, methods = ON_A_CPU[layer]
    chosen = [select_method(x_shape, kernel_shape, **arguments, op=op, platform="cpu").method for op in OPS]
    assert chosen == methods.split()


def test_a_cpu_computes_few_groups_one_by_one():
    few, many = (
        select_method((1, 8, 8, 8 * groups), (4, 4, 8 * groups, 8), stride=2, groups=groups, platform="cpu")
        for groups in (4, 32)
    )
    assert few.by_group
    assert not many.by_group


def test_the_default_platform_and_an_unnamed_gpu():
    arguments = {"x_shape": (None, 8, 8, 4), "kernel_shape": (4, 4, 4, 2), "stride": 2}
    assert select_method(**arguments) == select_method(**arguments, platform="cpu")
    assert select_method(**arguments, platform="gpu") == select_method(**arguments, platform="cuda")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"op": "K"}, "op must be one of 'forward', 'input_gradient', 'kernel_gradient'; got 'K'"),
        ({"platform": "npu"}, "platform must be one of 'cpu', 'cuda', 'rocm', 'tpu'; got 'npu'"),
        ({"method": "fast"}, "method must be one of"),
        ({"stride": 0}, "stride must be at least 1"),
        ({"kernel_shape": (4, 4, 3, 2)}, "has 4 channels"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_method(**{"x_shape": (None, 8, 8, 4), "kernel_shape": (4, 4, 4, 2)} | arguments)


def test_arrays_in_place_of_shapes():
    with pytest.raises(TypeError, match=r"x_shape must be a shape.*pass the array's .shape"):
        select_method(jnp.ones((1, 8, 8, 4)), (4, 4, 4, 2))


@pytest.mark.parametrize("method", ["matrix", "scatter"])
def test_too_large_for_a_method_that_holds_everything(method):
    x, kernel = jnp.zeros((1, 199, 199, 9)), jnp.zeros((9, 9, 9, 9))
    message = rf'method="{method}" is too large here: .*up to 16,777,216; method=None has no such limit'
    with pytest.raises(NotImplementedError, match=message):
        conv_transpose(x, kernel, method=method)
    with pytest.raises(NotImplementedError, match=message):
        select_method(x.shape, kernel.shape, method=method)
    with pytest.raises(NotImplementedError, match=message):
        jax.eval_shape(lambda x, kernel: conv_transpose(x, kernel, method=method), x, kernel)


def test_a_profile_says_which_op_and_method_a_kernel_belongs_to():
    # Profilers show the names of the compiled program's instructions.
    x, kernel = jnp.ones((1, 8, 8, 4)), jnp.ones((3, 3, 4, 2))
    loss = lambda x, kernel: (conv_transpose(x, kernel, stride=2, padding=1) ** 2).sum()
    text = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile().as_text()
    named = set(re.findall(r"conv_transpose\.(\w+)\.(\w+)", text))
    chosen = {(op, select_method(x.shape, kernel.shape, stride=2, padding=1, op=op).method) for op in OPS}
    assert named == chosen


def test_subpixel_inserts_no_zeros():
    # No dilated image in the program, and no array as large as the zero-stuffed input, (2, 127, 127, 8).
    x, kernel = jnp.ones((2, 64, 64, 8)), jnp.ones((4, 4, 8, 3))
    text = jax.jit(lambda x, k: conv_transpose(x, k, stride=2, padding=1, method="subpixel")).lower(x, kernel)
    text = text.compile().as_text()
    assert "lhs_dilate" not in text
    assert (
        max(np.prod([int(n) for n in shape.split(",")]) for shape in re.findall(r"f32\[([\d,]+)\]", text)) < 127**2 * 16
    )


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_programs_do_not_grow_with_the_stride(platform):
    def size(stride):
        def both(x, kernel):
            y, vjp = jax.vjp(lambda x, kernel: conv_transpose(x, kernel, stride=stride), x, kernel)
            return y, vjp(y)

        x, kernel = jnp.ones((1, 4, 4, 4)), jnp.ones((2 * stride, 2 * stride, 4, 4))
        return len(jax.export.export(jax.jit(both), platforms=[platform])(x, kernel).mlir_module())

    # A TPU's kernel gradient takes patches, whose slices grow with the kernel's sizes, and not with their product.
    assert size(32) < (2 if platform == "tpu" else 1.1) * size(8)


def test_a_depthwise_gradient_does_not_grow_with_the_taps():
    def length(size):
        x, kernel = jnp.zeros((1, 4, 4, 3)), jnp.zeros((size, size, 3, 1))
        loss = lambda kernel: conv_transpose(x, kernel, stride=2, groups=3).sum()
        return len(jax.jit(jax.grad(loss)).lower(kernel).as_text())

    # Two digits a size more in places; unrolled, it would be nine times as long.
    assert length(30) < 1.1 * length(10)
