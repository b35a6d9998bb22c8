"""Conditions that the tables of several platforms ask."""

import math

from jax_tconv._call.call import Call
from jax_tconv._selection.rules import Condition


def apart(call: Call) -> bool:
    """Whether no two taps meet in an output row, on any axis."""
    return all(axis.kernel_size <= axis.stride and axis.dilation == 1 for axis in call.geometry.axes)


def depthwise(call: Call) -> bool:
    """Whether there are several groups, each of one channel in and out."""
    return call.c_in == call.c_out == call.geometry.groups > 1


DEPTHWISE = Condition("several groups, of one channel in and out", depthwise)
LARGE_OUTPUT = Condition(
    "more than two output pixels per input pixel and phase",
    lambda call: math.prod(call.geometry.output_size) > 2 * math.prod(call.geometry.input_size + call.geometry.stride),
)
SEVERAL_DEVICES = Condition("split over several devices", lambda call: call.several_devices)
GROUPS_ON_SEVERAL_DEVICES = Condition(
    "several groups, split over several devices", lambda call: call.several_devices and call.geometry.groups > 1
)
DEPTHWISE_ON_SEVERAL_DEVICES = Condition(
    f"{DEPTHWISE.words}, split over several devices", lambda call: call.several_devices and DEPTHWISE.holds(call)
)
# These split by batch, rows, channels out and whole groups, and move no more than the halo.
SPLIT_GROUPS = "the products of all groups at once, which are split by rows and by groups"
SPLIT_MULTIPLICATIONS = "multiplications, one per tap, which are split by rows"
