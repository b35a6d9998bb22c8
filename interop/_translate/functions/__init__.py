"""The table of torch's functions: for each, what it becomes, by its name."""

from . import activations, attention, elementwise, norms, products, reductions, shapes, weighted, windows

FUNCTIONS = {
    **elementwise.FUNCTIONS,
    **activations.FUNCTIONS,
    **shapes.FUNCTIONS,
    **reductions.FUNCTIONS,
    **windows.FUNCTIONS,
    **products.FUNCTIONS,
    **attention.FUNCTIONS,
    **weighted.FUNCTIONS,
    **norms.FUNCTIONS,
}
