"""`verify` names every planted fault, and accepts every correct twin; what both are is checked without it."""

import pytest

pytest.importorskip("torch")

from tests.planted import held_out
from tests.planted.correct import CORRECT_PAIRS, check_correct
from tests.planted.fault import check_accepted, check_fault, check_named
from tests.planted.faults import FAULTS


def both(known, kept_aside, name):
    """The two lists as the parameters of a test, the second under names of its own."""
    return [
        *(pytest.param(one, id=name(one)) for one in known),
        *(pytest.param(one, id=f"held_out-{name(one)}") for one in kept_aside),
    ]


pytestmark = pytest.mark.slow
faults = pytest.mark.parametrize("fault", both(FAULTS, held_out.FAULTS, lambda fault: fault.name))
pairs = pytest.mark.parametrize("make", both(CORRECT_PAIRS, held_out.PAIRS, lambda make: make.__name__))


@faults
def test_the_fault_is_one(fault):
    check_fault(fault)


@faults
def test_the_fault_is_named(fault):
    check_named(fault)


@faults
def test_without_the_fault_the_twin_is_accepted(fault):
    check_accepted(fault.pair(False))


@pairs
def test_the_correct_twin_is_correct(make):
    check_correct(make())


@pairs
def test_the_correct_twin_is_accepted(make):
    check_accepted(make())
