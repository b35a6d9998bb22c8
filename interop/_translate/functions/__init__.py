"""The table of torch's functions: for each, what it becomes, by its name."""

from . import activations, elementwise, reductions, shapes, windows

FUNCTIONS = {
    **elementwise.FUNCTIONS,
    **activations.FUNCTIONS,
    **shapes.FUNCTIONS,
    **reductions.FUNCTIONS,
    **windows.FUNCTIONS,
}
