"""Layers that published networks seldom have: the corners in which compilers go wrong."""

from jax_tconv.benchmarks.layers import Layer


def spread(name, channels, kernel, stride, padding, size, batch=1, dilation=1, groups=1, output_padding=0):
    """The layer, where an int is given for what is the same on all axes."""
    n = len(size)
    values = [v if isinstance(v, tuple) else (v,) * n for v in (kernel, stride, padding, output_padding, dilation)]
    return Layer(name, *channels, *values, groups, size, batch)


ODD = [
    spread("dilated, stride 1", (64, 64), 3, 1, 2, (32, 32), 8, dilation=2),
    spread("dilated 2, stride 2", (64, 64), 3, 2, 2, (32, 32), 8, dilation=2, output_padding=1),
    spread("dilated 3, stride 2", (64, 64), 3, 2, 3, (32, 32), 8, dilation=3, output_padding=1),
    spread("dilated 2, stride 4", (64, 64), 4, 4, 0, (32, 32), 8, dilation=2),
    spread("dilated 1d", (128, 128), 3, 1, 4, (4096,), dilation=4),
    spread("dilated 3d", (32, 32), 3, 2, 2, (16, 16, 16), dilation=2, output_padding=1),
    spread("dilated, 4 groups", (64, 64), 3, 2, 2, (32, 32), 8, dilation=2, groups=4, output_padding=1),
    spread("kernel less than stride", (64, 64), 2, 3, 0, (32, 32), 8),
    spread("1x1, stride 2", (64, 64), 1, 2, 0, (32, 32), 8),
    spread("1x1, stride 2, output padding", (64, 64), 1, 2, 0, (32, 32), 8, output_padding=1),
    spread("padding as the kernel, stride 2", (64, 64), 3, 2, 3, (32, 32), 8),
    spread("padding as the kernel, even", (64, 64), 4, 2, 4, (32, 32), 8),
    spread("padding as the kernel, stride 1", (64, 64), 3, 1, 3, (32, 32), 8),
    spread("32 groups", (256, 256), 4, 2, 1, (32, 32), 8, groups=32),
    spread("4 groups, nothing overlaps", (256, 128), 2, 2, 0, (32, 32), 8, groups=4),
    spread("2 groups", (128, 64), 4, 2, 1, (32, 32), 8, groups=2),
    spread("8 groups, output padding", (256, 128), 3, 2, 1, (32, 32), 8, groups=8, output_padding=1),
    spread("depthwise 3d", (32, 32), 3, 2, 1, (16, 16, 16), 2, groups=32, output_padding=1),
    spread("depthwise 7x7", (96, 96), 7, 2, 3, (56, 56), 8, groups=96, output_padding=1),
    spread("depthwise, batch 32", (256, 256), 4, 2, 1, (32, 32), 32, groups=256),
    spread("depthwise to two each", (64, 128), 4, 2, 1, (32, 32), 8, groups=64),
    spread("depthwise 31x31", (96, 96), 31, 1, 15, (28, 28), 8, groups=96),
    spread("one pixel, heavy", (512, 512), 4, 2, 1, (1, 1)),
    spread("2x2 pixels, heavy", (1024, 512), 4, 2, 1, (2, 2)),
    spread("2x2 pixels, heavy, batch 16", (1024, 512), 4, 2, 1, (2, 2), 16),
    spread("3x3 pixels, 5x5", (256, 128), 5, 2, 2, (3, 3), 32, output_padding=1),
    spread("4x4 pixels, 7x7", (128, 64), 7, 4, 2, (4, 4), 16, output_padding=1),
    spread("bilinear 32x32", (21, 21), 32, 16, 0, (16, 16)),
    spread("bilinear 32x32, kernel beyond the input", (21, 21), 32, 16, 0, (30, 30)),
    spread("bilinear 64x64", (21, 21), 64, 32, 0, (7, 7), 16),
    spread("bilinear 64x64, 1000 channels", (1000, 21), 64, 32, 0, (7, 7)),
    spread("64 taps, stride 32, 1d", (64, 64), 64, 32, 16, (16,), 8),
    spread("20 taps, stride 10, 1d", (512, 256), 20, 10, 5, (32,), 4),
    spread("inverse Fourier transform", (514, 1), 512, 128, 256, (200,)),
    spread("3x3, stride 1", (64, 64), 3, 1, 1, (64, 64), 8),
    spread("3x3x3, stride 1", (64, 64), 3, 1, 1, (16, 16, 16)),
    spread("4x4x4, stride 2", (256, 128), 4, 2, 1, (8, 8, 8), 8),
    spread("one voxel to 4x4x4", (200, 512), 4, 1, 0, (1, 1, 1), 16),
    spread("3x3, output padding, batch 32", (256, 128), 3, 2, 1, (32, 32), 32, output_padding=1),
    spread("6x6, stride 3", (64, 32), 6, 3, 2, (32, 32), 8, output_padding=1),
    spread("5x5, output padding, batch 64", (256, 128), 5, 2, 2, (16, 16), 64, output_padding=1),
    spread("four axes", (16, 16), 2, 2, 0, (4, 4, 4, 4), 2),
]
