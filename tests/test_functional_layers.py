"""`jax_tconv.functional`'s activations, norms, distances, convolution and attention against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_tconv import functional as F

torch = pytest.importorskip("torch")

from tests.functional import agree, from_torch, to_torch  # noqa: E402

TF = torch.nn.functional
RNG = np.random.default_rng(0)

ACTIVATIONS = {
    "softplus": ({}, {"beta": 2.5, "threshold": 3.0}),
    "threshold": ({"threshold": 0.5, "value": -2.0},),
    "hardshrink": ({}, {"lambd": 1.0}),
    "softshrink": ({}, {"lambd": 1.0}),
    "tanhshrink": ({},),
    "rrelu": ({}, {"lower": 0.1, "upper": 0.5}),
}


@pytest.mark.usefixtures("float64")
def test_activations():
    """At the kinks too, where torch and JAX could choose different gradients."""
    x = np.array([-30.0, -2.0, -1.0, -0.5, -0.1, 0.0, 0.1, 0.5, 1.0, 2.0, 8.0, 8.1, 30.0])
    calls = [(name, kwargs) for name, several in ACTIVATIONS.items() for kwargs in several]
    agree(
        lambda x: jnp.stack([getattr(F, name)(x, **kwargs) for name, kwargs in calls]),
        lambda x: torch.stack([getattr(TF, name)(x, **kwargs) for name, kwargs in calls]),
        [x],
        None,
    )


@pytest.mark.parametrize("name", ["threshold", "hardshrink", "softshrink", "tanhshrink", "softplus"])
def test_a_nan_stays_one(name):
    assert np.isnan(getattr(F, name)(np.array([np.nan]), **ACTIVATIONS[name][-1])).all()


@pytest.mark.usefixtures("float64")
def test_prelu_and_softmin():
    x = RNG.normal(size=(2, 3, 4))
    for slopes in (np.array([0.3]), RNG.normal(size=4)):
        agree(F.prelu, TF.prelu, [x, slopes], [1, None], 1)
    agree(lambda x: F.softmin(x, axis=1), lambda x: TF.softmin(x, dim=2), [x], 1)


@pytest.mark.usefixtures("float64")
def test_local_response_norm():
    kwargs = {"alpha": 0.3, "beta": 0.6, "k": 2.0}
    agree(
        lambda x: jnp.stack([F.local_response_norm(x, size, **kwargs) for size in (1, 2, 3, 5)]),
        lambda x: torch.stack([TF.local_response_norm(x, size, **kwargs) for size in (1, 2, 3, 5)]),
        [RNG.normal(size=(2, 3, 4, 4))],
        2,
    )


@pytest.mark.usefixtures("float64")
def test_norms_of_vectors():
    """Zeros among them, whole vectors too, where a root's derivative is infinite and torch's gradient 0."""
    x, y = RNG.normal(size=(2, 3, 4))
    x[0], x[1, 2] = 0, 0
    norms = (2, 1, 3, 2.5, 0.5, float("inf"), -float("inf"), 0)
    agree(
        lambda x: jnp.stack([F.normalize(x, p) for p in norms]),
        lambda x: torch.stack([TF.normalize(x, p, dim=-1) for p in norms]),
        [x],
        None,
    )
    agree(
        lambda x, y: jnp.stack([F.pairwise_distance(x, y, p) for p in norms]),
        lambda x, y: torch.stack([TF.pairwise_distance(x, y, p) for p in norms]),
        [x, y],
        None,
    )


@pytest.mark.usefixtures("float64")
def test_cosine_similarity():
    x, y = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 1, 4))
    x[0, 0], x[0, 1] = 0, 1e-10
    agree(F.cosine_similarity, lambda x, y: TF.cosine_similarity(x, y, -1), [x, y], None)
    agree(lambda x, y: F.cosine_similarity(x, y, 0), lambda x, y: TF.cosine_similarity(x, y, 0), [x, y], None)


@pytest.mark.usefixtures("float64")
def test_layer_norm():
    x = RNG.normal(size=(2, 3, 4, 5)) * 3 + 1
    weight, bias = RNG.normal(size=(3, 4, 5)), RNG.normal(size=(3, 4, 5))
    agree(
        lambda x, w, b: F.layer_norm(x, (1, 2, 3), w, b, eps=0.01),
        lambda x, w, b: TF.layer_norm(x, (5, 3, 4), w, b, eps=0.01),
        [x, weight, bias],
        2,
    )
    agree(F.layer_norm, lambda x: TF.layer_norm(x, (5,)), [x], None)
    # Over the channels of a map, as ConvNeXt does by permuting there and back.
    agree(
        lambda x, w: F.layer_norm(x, -1, w),
        lambda x, w: TF.layer_norm(x.permute(0, 2, 3, 1), (5,), w).permute(0, 3, 1, 2),
        [x, weight[0, 0]],
        [2, None],
    )


@pytest.mark.usefixtures("float64")
def test_the_other_norms():
    x = RNG.normal(size=(2, 3, 5, 6)) * 3 + 1
    weight, bias, mean, var = RNG.normal(size=6), RNG.normal(size=6), RNG.normal(size=6), RNG.uniform(0.1, 2, 6)
    counts = [2, None, None]
    agree(
        lambda *a: F.group_norm(a[0], 3, *a[1:]), lambda *a: TF.group_norm(a[0], 3, *a[1:]), [x, weight, bias], counts
    )
    agree(lambda x: F.group_norm(x, 2, eps=0.1), lambda x: TF.group_norm(x, 2, eps=0.1), [x[:, 0, 0]], None)
    agree(F.instance_norm, lambda x, w, b: TF.instance_norm(x, weight=w, bias=b), [x, weight, bias], counts)
    agree(F.instance_norm, TF.instance_norm, [x], 2)
    running = torch.from_numpy(mean), torch.from_numpy(var)
    agree(
        lambda x, w, b: F.batch_norm(x, mean, var, w, b),
        lambda x, w, b: TF.batch_norm(x, *running, w, b),
        [x, weight, bias],
        counts,
    )
    agree(lambda x: F.batch_norm(x, eps=0.1), lambda x: TF.batch_norm(x, None, None, training=True, eps=0.1), [x], 2)


def test_norms_far_from_zero_and_in_half_precision():
    """The variance is formed from differences, in float32 also for half precisions."""
    x = (RNG.normal(size=(2, 8, 4)) + 1000).astype(np.float32)
    half = jnp.asarray(x, jnp.bfloat16)
    norm = jax.jit(lambda x: F.group_norm(x, 2))
    wanted = TF.group_norm(to_torch(x.astype(np.float64), 1), 2)
    # float32 has x to 2**-14 at 1000.
    np.testing.assert_allclose(norm(x), from_torch(wanted, 1), atol=1e-3)
    assert norm(half).dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(norm(half)), norm(np.float32(half)), rtol=2**-8)


# Spatial size, kernel size, channels in and out, arguments.
CONVS = [
    ((7,), (3,), 2, 4, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
    ((6,), (4,), 3, 2, {"padding": "same", "dilation": 3}),
    ((5, 6), (3, 2), 3, 4, {"padding": (2, 0), "stride": (1, 2)}),
    ((4, 3, 5), (2, 2, 3), 2, 2, {"padding": "valid"}),
]


@pytest.mark.parametrize("case", CONVS, ids=str)
@pytest.mark.usefixtures("float64")
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_conv(case):
    size, kernel_size, c_in, c_out, kwargs = case
    n = len(size)
    kernel = RNG.normal(size=(*kernel_size, c_in // kwargs.get("groups", 1), c_out))
    theirs = getattr(TF, f"conv{n}d")

    def by_torch(x, kernel, bias):
        return theirs(x, kernel.permute(n + 1, n, *range(n)), bias, **kwargs)

    arrays = [RNG.normal(size=(2, *size, c_in)), kernel, RNG.normal(size=c_out)]
    agree(lambda *a: F.conv(*a, **kwargs), by_torch, arrays, [n, None, None])


def test_conv_takes_any_batch():
    x, kernel = jnp.ones((2, 3, 5, 2)), jnp.ones((3, 2, 4))
    assert F.conv(x, kernel).shape == (2, 3, 3, 4)
    assert F.conv(x[0, 0], kernel).shape == (3, 4)
    assert F.conv(x[0, :0], kernel).shape == (0, 3, 4)


@pytest.mark.parametrize("case", ["plain", "causal", "bools", "numbers", "scale", "groups", "nothing to attend to"])
@pytest.mark.usefixtures("float64")
def test_attention(case):
    q, k, v = RNG.normal(size=(2, 4, 5, 3)), RNG.normal(size=(2, 4, 6, 3)), RNG.normal(size=(2, 4, 6, 7))
    arrays, ours, theirs = [q, k, v], {}, {}
    if case in ("causal", "scale"):
        ours = theirs = {"is_causal": True} if case == "causal" else {"scale": 0.7}
    elif case == "groups":
        arrays, ours = [q, k[:, :2], v[:, :2]], {"enable_gqa": True}
        theirs = ours
    elif case in ("bools", "nothing to attend to"):
        mask = RNG.uniform(size=(2, 1, 5, 6)) < 0.6
        mask[..., 0] = True
        if case != "bools":
            mask[0, 0, 2] = False
        ours, theirs = {"mask": mask}, {"attn_mask": torch.from_numpy(mask)}
    elif case == "numbers":
        arrays.append(RNG.normal(size=(4, 5, 6)))
    agree(
        lambda q, k, v, *mask: F.scaled_dot_product_attention(q, k, v, *mask, **ours),
        lambda q, k, v, *mask: TF.scaled_dot_product_attention(q, k, v, *mask, **theirs),
        arrays,
        None,
    )


def test_vmap_maps():
    x = RNG.normal(size=(3, 2, 4, 6)).astype(np.float32)

    @jax.jit
    def several(x):
        return F.group_norm(x, 2), F.normalize(x), F.conv(x, jnp.ones((3, 6, 2))), F.interpolate(x, 7, mode="linear")

    for mapped, alone in zip(jax.vmap(several)(x), several(x[1]), strict=True):
        np.testing.assert_allclose(mapped[1], alone, atol=1e-5)
