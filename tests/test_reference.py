"""The judge itself, judged by hand: the numpy reference on cases small enough to work out on paper."""

import numpy as np

from tests import reference

ONE = {"stride": (1,), "padding": ((0, 0),), "output_padding": (0,), "dilation": (1,), "groups": 1}


def test_a_stride_of_two_by_hand():
    # Rows 0, 2, 4 receive the input times tap 0, rows 1, 3, 5 times tap 1.
    x, kernel = np.array([1.0, 2, 3]).reshape(1, 3, 1), np.array([10.0, 100]).reshape(2, 1, 1)
    y = reference.conv_transpose(x, kernel, **ONE | {"stride": (2,)})
    assert y.ravel().tolist() == [10, 100, 20, 200, 30, 300]


def test_padding_and_output_padding_by_hand():
    x, kernel = np.array([1.0, 2]).reshape(1, 2, 1), np.array([10.0, 100, 1000]).reshape(3, 1, 1)
    y = reference.conv_transpose(x, kernel, **ONE | {"padding": ((1, 0),), "output_padding": (0,)})
    assert y.ravel().tolist() == [120, 1200, 2000]
    y = reference.conv_transpose(x, kernel, **ONE | {"stride": (3,), "output_padding": (2,)})
    assert y.ravel().tolist() == [10, 100, 1000, 20, 200, 2000, 0, 0]


def test_gradients_by_hand():
    # y = [10a, 100a + 10b, 100b] for x = [a, b]: x_bar and kernel_bar at cotangent [1, 2, 3] can be read off.
    x, kernel = np.array([5.0, 7]).reshape(1, 2, 1), np.array([10.0, 100]).reshape(2, 1, 1)
    x_bar, kernel_bar = reference.gradients(x, kernel, np.array([1.0, 2, 3]).reshape(1, 3, 1), **ONE)
    assert x_bar.ravel().tolist() == [10 + 200, 20 + 300]
    assert kernel_bar.ravel().tolist() == [5 + 14, 10 + 21]


def test_groups_keep_channels_apart():
    x = np.array([1.0, 2, 3, 4]).reshape(1, 1, 4)
    kernel = np.array([1.0, 10, 100, 1000]).reshape(1, 4, 1)
    assert reference.conv_transpose(x, kernel, **ONE | {"groups": 2}).ravel().tolist() == [21, 4300]
