"""Attention written out, as a function, as a layer, and torch's own transformers."""

import einops
import pytest
import torch
from einops.layers.torch import Rearrange
from torch import nn
from torch.nn import functional as F

from jax_tconv.interop._translate.translation import TranslationError, translate

from .check import check

# torch warns of its own fast path, which a trace does not take.
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor:UserWarning")
PADDING = torch.tensor([[False, False, True], [False, True, True]])


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


class WrittenOut(nn.Module):
    """As vision transformers have it."""

    def __init__(self, dim, heads):
        super().__init__()
        self.num_heads, self.scale = heads, (dim // heads) ** -0.5
        self.qkv, self.proj = nn.Linear(dim, dim * 3), nn.Linear(dim, dim)
        self.attn_drop, self.proj_drop = nn.Dropout(0.1), nn.Dropout(0.1)

    def forward(self, x):
        B, N, C = x.shape
        qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attn = (q @ k.transpose(-2, -1)) * self.scale
        attn = attn.softmax(dim=-1)
        attn = self.attn_drop(attn)
        x = (attn @ v).transpose(1, 2).reshape(B, N, C)
        return self.proj_drop(self.proj(x))


def test_attention_that_is_written_out_is_short():
    # Batch, heads and length coincide.
    source = check(WrittenOut(4, 2), random(2, 2, 4), also=[(random(3, 5, 4),)])
    assert 'attn = jnp.einsum("bnhd,bmhd->bhnm", q, k) * ' in source
    assert 'x = jnp.einsum("bhnm,bmhd->bnhd", attn, v).reshape(B, N, C)' in source
    assert "swapaxes" not in source
    assert "transpose" not in source


class Maps(nn.Module):
    """Attention between the places of a map, and between its channels."""

    def __init__(self, channels):
        super().__init__()
        self.query, self.key = nn.Conv2d(channels, channels // 2, 1), nn.Conv2d(channels, channels // 2, 1)
        self.value, self.gamma = nn.Conv2d(channels, channels, 1), nn.Parameter(torch.tensor([0.5]))

    def forward(self, x):
        B, C, H, W = x.size()
        query = self.query(x).view(B, -1, H * W).permute(0, 2, 1)
        key = self.key(x).view(B, -1, H * W)
        attention = torch.softmax(torch.bmm(query, key), dim=-1)
        value = self.value(x).view(B, -1, H * W)
        places = torch.bmm(value, attention.permute(0, 2, 1)).view(B, C, H, W)
        rows = x.view(B, C, -1)
        energy = torch.bmm(rows, rows.permute(0, 2, 1))
        channels = torch.bmm(F.softmax(energy.max(-1, keepdim=True)[0] - energy, -1), rows).view(B, C, H, W)
        return self.gamma * places + x, channels


def test_attention_on_maps_keeps_the_channels_last():
    source = check(Maps(4), random(4, 4, 2, 2), also=[(random(1, 4, 3, 5),)])
    assert "nnx.softmax(query @ key.mT)" in source
    assert "(attention @ value).reshape(B, H, W, C)" in source


class Channels(nn.Module):
    """Attention between channels in heads, and attention that is linear in the number of places, with the maps last."""

    def __init__(self, dim, heads):
        super().__init__()
        self.num_heads, self.temperature = heads, nn.Parameter(torch.full((heads, 1, 1), 1.5))
        self.qkv, self.project_out = nn.Conv2d(dim, dim * 3, 1), nn.Conv2d(dim, dim, 1)

    def forward(self, x):
        b, c, h, w = x.shape
        q, k, v = (t.view(b, self.num_heads, c // self.num_heads, h * w) for t in self.qkv(x).chunk(3, dim=1))
        attn = (F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)) * self.temperature
        out = attn.softmax(dim=-1) @ v
        context = torch.einsum("b h d n, b h e n -> b h d e", k.softmax(-1), v)
        linear = torch.einsum("b h d e, b h d n -> b h e n", context, q.softmax(-2))
        return self.project_out(out.view(b, c, h, w)), linear.reshape(b, -1, h, w)


def test_attention_between_channels_moves_no_axes():
    source = check(Channels(4, 2), random(2, 4, 2, 2), also=[(random(1, 4, 3, 5),)])
    assert 'jnp.einsum("bnhc,bnhd->bhcd", ' in source
    assert 'out = jnp.einsum("bhcd,bnhd->bnhc", nnx.softmax(attn), v)' in source
    assert 'linear = jnp.einsum("bhde,bnhd->bnhe", context, nnx.softmax(q))' in source
    assert "swapaxes" not in source
    assert "moveaxis" not in source


class Rearranged(nn.Module):
    """Axes by the names that einops gives them, in layers and functions."""

    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(4, 12), nn.Linear(4, 4)
        self.heads = Rearrange("b l (qkv h d) -> qkv b h l d", qkv=3, h=2)
        self.joined = Rearrange("b h l d -> b l (h d)")

    def forward(self, x):
        q, k, v = self.heads(self.qkv(x))
        weights = torch.einsum("bhid,bhjd->bhij", q, k).softmax(-1)
        y = self.joined(weights @ v)
        q, k = (einops.rearrange(t, "b l (h d) -> b h l d", h=2) for t in (x, y))
        scores = einops.einsum(q, k, "b h i d, b h j d -> b h i j")
        return self.proj(y) + einops.repeat(x.mean(1), "b c -> b l c", l=x.shape[1]), scores


def test_axes_by_the_names_of_einops():
    source = check(Rearranged(), random(2, 2, 4), also=[(random(1, 5, 4),)])
    assert 'jnp.einsum("bihd,bjhd->bhij", q, k)' in source
    assert 'jnp.einsum("bhnm,bmhd->bnhd", weights, v)' in source
    assert source.count("class ") == 1
    assert "1 *" not in source
    assert "tensor" not in source


class OneFunction(nn.Module):
    """torch's scaled_dot_product_attention in its forms."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.q, self.kv = heads, nn.Linear(dim, dim), nn.Linear(dim, 2 * dim)

    def forward(self, x, mask, bias):
        B, N, C = x.shape
        q = self.q(x).view(B, N, self.heads, C // self.heads).transpose(1, 2)
        k, v = self.kv(x).view(B, N, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return (
            F.scaled_dot_product_attention(query=q, key=k, value=v),
            F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
            F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=0.5 if self.training else 0.0),
            F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2),
            F.scaled_dot_product_attention(x, x, x, mask, scale=1.0),
            F.scaled_dot_product_attention(q.contiguous() * 2, k.narrow(1, 0, 1), v.narrow(1, 0, 1), enable_gqa=True),
            F.scaled_dot_product_attention(q, k.narrow(2, 0, 1), v.narrow(2, 0, 1), is_causal=True),
            F.scaled_dot_product_attention(q.narrow(2, 0, 1), k, v, is_causal=True),
        )


def test_attention_as_one_function():
    # The first query may attend to nothing.
    mask = torch.ones(2, 2, dtype=torch.bool).tril(-1)
    source = check(
        OneFunction(4, 2), random(2, 2, 4), mask, random(2, 2, 2), also=[(random(3, 2, 4), mask, random(2, 2, 2))]
    )
    assert "jax.nn.dot_product_attention(q, k, v)" in source
    assert "jax.nn.dot_product_attention(q, k, v, is_causal=True, scale=0.3)" in source
    assert "functional.scaled_dot_product_attention(x, x, x, mask=mask, scale=1.0)" in source


class Layers(nn.Module):
    """Attention layers with the batch first, second and not at all, of themselves and of something else."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (
            nn.MultiheadAttention(4, 2, batch_first=True),
            nn.MultiheadAttention(4, 2, dropout=0.1),
        )
        self.cross = nn.MultiheadAttention(4, 4, kdim=3, vdim=3, bias=False)

    def forward(self, x, y, padding):
        turned = x.transpose(0, 1)
        a, _ = self.first(x, x, x, key_padding_mask=padding)
        b = self.second(turned, turned, turned, need_weights=False)[0].transpose(0, 1)
        c, _ = self.cross(turned, y, y)
        d, _ = self.first(x.select(0, 0), x.select(0, 1), x.select(0, 1) + 1)
        e, _ = self.second(query=x, key=turned, value=turned)
        return a, b, c, d, e


def test_attention_layers():
    x = random(3, 3, 4)
    padding = torch.tensor([[False, False, True], [False, True, True], [False, False, False]])
    source = check(
        Layers(), x, random(2, 3, 3), padding, also=[(random(3, 3, 4, seed=1), random(5, 3, 3), padding.flip(0))]
    )
    assert "self.first(x, mask=~padding[:, None, None])" in source
    assert "b = self.second(x)" in source
    assert "self.cross(x, jnp.swapaxes(y, 0, 1))" in source


class Masked(nn.Module):
    """Every kind of mask."""

    def __init__(self):
        super().__init__()
        self.attn, self.dropping = (
            nn.MultiheadAttention(4, 2, batch_first=True),
            nn.MultiheadAttention(4, 2, 0.5, batch_first=True),
        )
        self.register_buffer("causal", torch.full((3, 3), -torch.inf).triu(1), persistent=False)
        self.register_buffer("window", torch.zeros(3, 3).masked_fill(torch.eye(3) == 1, -torch.inf))

    def forward(self, x, padding, bias, heads):
        made = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(diagonal=1)
        length = x.shape[1]
        hidden = torch.zeros(length, length).masked_fill(torch.ones(length, length).tril() == 0, float("-inf"))
        numbers = torch.zeros_like(padding, dtype=torch.float32).masked_fill(padding, -1.0)
        given = [
            {"attn_mask": self.causal}, {"attn_mask": made}, {"attn_mask": hidden, "is_causal": True},
            {"attn_mask": self.causal, "key_padding_mask": padding}, {"attn_mask": self.window},
            {"attn_mask": made, "key_padding_mask": padding, "is_causal": True}, {"attn_mask": bias},
            {"attn_mask": bias, "key_padding_mask": padding.float().masked_fill(padding, -torch.inf)},
            {"attn_mask": heads}, {"attn_mask": heads > 1}, {"key_padding_mask": numbers},
            {"attn_mask": self.window, "key_padding_mask": numbers},
        ]  # fmt: skip
        return tuple(
            attn(x, x, x, **some, need_weights=False)[0] for some in given for attn in (self.attn, self.dropping)
        )


@pytest.mark.filterwarnings("ignore:Support for mismatched:UserWarning")
def test_masks_of_attention_layers():
    given = random(2, 3, 4), PADDING, random(3, 3), random(4, 3, 3)
    source = check(Masked(), *given, also=[(random(2, 3, 4, seed=2), ~PADDING.flip(1), random(3, 3), random(4, 3, 3))])
    assert source.count("self.attn(x, is_causal=True)") == 3
    assert "mask=(self.window[...] == 0)" in source or "mask=self.window[...] == 0" in source
    assert "self.attn.out(" in source


class Encoders(nn.Module):
    """torch's own transformers, the batch first or second, the norms before or after."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, activation="gelu")
        # With nested tensors, torch has zeros where there is padding, in evaluation and not in training.
        self.encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(4), enable_nested_tensor=False)
        self.causal = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 6, norm_first=True, bias=False), 1)
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, activation=nn.SiLU(), dropout=0.0)
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6), 2)

    def forward(self, x, padding):
        encoded = self.encoder(x, src_key_padding_mask=padding)
        turned = x.transpose(0, 1)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        causal = self.causal(turned, mask=mask).transpose(0, 1)
        decoded = self.decoder(turned, encoded.transpose(0, 1), tgt_mask=mask, memory_key_padding_mask=padding)
        return encoded, causal, self.layer(x), decoded.transpose(0, 1)


def test_transformers_of_torch():
    source = check(Encoders(), random(2, 3, 4), PADDING, also=[(random(2, 3, 4, seed=1), PADDING.flip(0))])
    assert "self.self_attn(src, mask=~src_key_padding_mask[:, None, None])" in source
    assert "is_causal=True" in source
    assert "triu" not in source


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(4, 2, 1, 1, 6, batch_first=True)

    def forward(self, source, target, mask):
        return self.transformer(source, target, tgt_mask=mask)


def test_a_whole_transformer_with_a_mask_that_it_is_given():
    mask = nn.Transformer.generate_square_subsequent_mask(2)
    source = check(
        Whole(), random(2, 3, 4), random(2, 2, 4), mask, also=[(random(2, 5, 4), random(2, 2, 4), mask * 0 + 1)]
    )
    assert "bias=tgt_mask" in source


class Weights(nn.Module):
    def __init__(self, **arguments):
        super().__init__()
        self.attn = nn.MultiheadAttention(4, 2, batch_first=True, **arguments)

    def forward(self, x):
        y, weights = self.attn(x, x, x)
        return y, weights.mean()


class Dropping(nn.Module):
    def forward(self, x):
        return F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Weights(), "weights that its attention gives.*need_weights=False"),
        (nn.Sequential(Weights(add_bias_kv=True)), "add_bias_kv"),
        (Dropping(), "dropout_p=0.1"),
    ],
)
def test_what_flax_has_not_is_refused(module, words):
    with pytest.raises(TranslationError) as refused:
        translate(module, random(2, 3, 4))
    assert all(word in str(refused.value) for word in words.split(".*"))
