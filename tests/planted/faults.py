"""The planted faults."""

from tests.planted import arguments, structure, weights

FAULTS = [*arguments.FAULTS, *weights.FAULTS, *structure.FAULTS]
