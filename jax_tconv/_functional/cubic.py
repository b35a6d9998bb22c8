"""Keys's cubic convolution (IEEE Trans. ASSP 29, 1981): the weight of a row at a distance, in any array library."""

from typing import Any


def near(t: Any, a: float) -> Any:
    """The weight at a distance of 0 to 1."""
    return ((a + 2) * t - (a + 3)) * t * t + 1


def far(t: Any, a: float) -> Any:
    """The weight at a distance of 1 to 2."""
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a


def four_weights(t: Any) -> list[Any]:
    """The weights of the four rows around a place `t` beyond the second; -0.75 is torch's constant."""
    return [far(t + 1, -0.75), near(t, -0.75), near(1 - t, -0.75), far(2 - t, -0.75)]
