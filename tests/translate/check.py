"""The judge of a translation: torch's own values, from the module that was translated."""

import dataclasses
import inspect
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from jax_tconv import interop
from jax_tconv.interop._translate import translation, writing

# Functions of float32 in another order of sums.
RELATIVE = 1e-5


def check(module, *inputs, also=(), relative=RELATIVE):
    """Translates a module, and runs the source on the inputs and on `also`, other such tuples; returns the source.

    Everything that torch gives must come out, its structure included, within the tolerance of the largest value.
    """
    module.eval()
    source, network = translated(module, *inputs)
    model = loaded(source, module)
    for given in (inputs, *also):
        with torch.no_grad():
            wanted = module(*copied(given))
        with jax.default_matmul_precision("highest"):
            found = model(*arguments(network, given))
        compare(found, wanted, network.root.body.orders, relative)
    return source


def translated(module, *inputs, **options):
    """The source of a module, and the record of its network, which knows the orders of axes."""
    networks = []

    class Noted(writing.Network):
        def __init__(self, *args, **kwargs):
            networks.append(self)
            super().__init__(*args, **kwargs)

    with mock.patch.object(writing, "Network", Noted):
        source = translation.translate(module, *copied(inputs), **options)
    return source, networks[-1]


def executed(source):
    """The model's class, which is the last of the file, executed without anything of torch in sight."""
    space = types.ModuleType("translated")
    exec(compile(source, "translated.py", "exec"), space.__dict__)
    own = [one for one in vars(space).values() if isinstance(one, type) and one.__module__ == "translated"]
    return own[-1]


def loaded(source, module):
    """The model that the source makes, in evaluation, with the module's weights."""
    cls = executed(source)
    takes_rngs = "rngs" in cls.__init__.__code__.co_varnames if hasattr(cls.__init__, "__code__") else False
    model = cls(rngs=nnx.Rngs(0)) if takes_rngs else cls()
    state_dict = module.state_dict()
    if state_dict:
        interop.load_state_dict(model, state_dict)
    model.eval()
    return model


def arguments(network, inputs):
    """torch's inputs as the model takes them: without those that are no part of its signature."""
    taken = network.root.body.arguments
    given = inspect.signature(network.root.module.forward).bind(*inputs).arguments
    return [_moved(given[word], network.root.orders[word]) for word in taken]


def _moved(tree, orders):
    if isinstance(tree, torch.Tensor):
        return jnp.asarray(tree.numpy().transpose(orders.order))
    if isinstance(tree, dict):
        return {key: _moved(item, orders[key]) for key, item in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)(_moved(item, order) for item, order in zip(tree, orders, strict=True))
    return tree


def compare(found, wanted, orders, relative=RELATIVE):
    """Compares what the model gives with what torch gives, of any structure."""
    if dataclasses.is_dataclass(wanted):
        wanted = {field.name: getattr(wanted, field.name) for field in dataclasses.fields(wanted)}
    if isinstance(wanted, torch.Tensor):
        want, found = wanted.resolve_conj().numpy().transpose(orders.order), np.asarray(found)
        assert found.shape == want.shape
        assert found.dtype.kind == want.dtype.kind, f"{found.dtype} in place of {want.dtype}"
        if want.dtype.kind not in "fc":
            np.testing.assert_array_equal(found, want)
            return
        np.testing.assert_array_equal(np.isnan(found), np.isnan(want))
        finite = np.isfinite(want)
        np.testing.assert_array_equal(found[~finite & ~np.isnan(want)], want[~finite & ~np.isnan(want)])
        largest = np.max(np.abs(want[finite]), initial=1e-30)
        assert np.max(np.abs(found[finite] - want[finite].astype(found.dtype)), initial=0) <= relative * largest
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key in wanted:
            compare(found[key], wanted[key], orders[key], relative)
    elif isinstance(wanted, tuple | list):
        assert isinstance(found, tuple | list)
        assert len(found) == len(wanted)
        for one, want, order in zip(found, wanted, orders, strict=True):
            compare(one, want, order, relative)
    else:
        assert found == wanted


def copied(tree):
    """The same structure with copies of its tensors, so that a module which writes into them harms nobody."""
    if isinstance(tree, torch.Tensor):
        return tree.clone()
    if isinstance(tree, dict):
        return {key: copied(item) for key, item in tree.items()}
    return type(tree)(map(copied, tree)) if isinstance(tree, tuple | list) else tree
