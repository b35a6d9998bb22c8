"""The report: every tensor and every array, with what became of it, as a table, as data and as an error."""

import json
import subprocess
import sys
from collections import Counter

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from rich.cells import cell_len

from jax_tconv import interop
from jax_tconv.interop._tables import terminal_width, text_table

RNGS = nnx.Rngs(0)
F32, BF16 = np.dtype("float32"), np.dtype(ml_dtypes.bfloat16)


class Net(nnx.Module):
    def __init__(self):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=RNGS)
        self.norm = nnx.BatchNorm(4, rngs=RNGS)
        self.head = nnx.Linear(4, 2, rngs=RNGS)


STATE_DICT = {
    "module.conv.weight_g": np.ones((4, 1, 1, 1), F32),
    "module.conv.weight_v": np.ones((4, 3, 3, 3), F32),
    "module.conv.bias": np.ones(4, BF16),
    "module.norm.weight": np.ones(4, F32),
    "module.norm.bias": np.ones(4, F32),
    "module.norm.running_mean": np.ones(4, F32),
    "module.norm.num_batches_tracked": np.array(7),
    "module.head.weight": np.ones((3, 4), F32),
    "module.head.bias": np.ones(2, F32),
    "module.extra": np.ones(5, F32),
    "module.optimizer": np.ones(2, F32),
}


def test_every_tensor_and_every_array_is_there():
    report = interop.load_state_dict(Net(), STATE_DICT, rename={"module.optimizer": None}, dry_run=True)
    rows = {row.name: row for row in report.rows}
    assert {name: row.status for name, row in rows.items()} == {
        "module.optimizer": "dropped",
        "conv.weight": "loaded",
        "conv.bias": "loaded",
        "norm.weight": "loaded",
        "norm.bias": "loaded",
        "norm.running_mean": "loaded",
        "norm.running_var": "missing",
        "norm.num_batches_tracked": "dropped",
        "head.weight": "misshapen",
        "head.bias": "loaded",
        "extra": "unexpected",
    }
    assert rows["conv.weight"] == interop.Row(
        status="loaded",
        name="conv.weight",
        source=("module.conv.weight_g", "module.conv.weight_v"),
        target="conv.kernel",
        source_shape=(4, 3, 3, 3),
        target_shape=(3, 3, 3, 4),
        source_dtype="float32",
        target_dtype="float32",
        transform="weight norm folded, comes back as a plain tensor; o i ... -> ... i o",
        exact=False,
    )
    assert (rows["conv.bias"].source_dtype, rows["conv.bias"].exact) == ("bfloat16", False)
    assert rows["norm.weight"].exact
    misshapen = rows["head.weight"]
    assert (misshapen.source_shape, misshapen.needed_shape, misshapen.target_shape) == ((3, 4), (2, 4), (4, 2))
    assert (rows["norm.running_var"].target, rows["norm.running_var"].source) == ("norm.var", ())
    assert not report.ok
    assert (report.missing_keys, report.unexpected_keys) == (["norm.running_var"], ["extra"])
    assert repr(report) == "Report(dropped=2, loaded=6, missing=1, misshapen=1, unexpected=1)"


def test_as_a_table_and_as_data():
    report = interop.load_state_dict(Net(), STATE_DICT, dry_run=True)
    table, _, rest = report.table(all=True, width=1000).partition("7 tensors loaded")
    lines = {line.split()[1]: line for line in table.splitlines()[2:]}
    folded = lines["module.conv.weight_g"]
    assert folded.startswith(" loaded       module.conv.weight_g + module.conv.weight_v   (4, 3, 3, 3)   float32")
    assert "conv.kernel   (3, 3, 3, 4)   float32   weight norm folded" in folded
    assert len(lines) == len(report.rows)
    assert rest.endswith(report.faults())
    data = json.loads(json.dumps(report.as_dicts()))
    assert data[0]["source"] == ["module.conv.weight_g", "module.conv.weight_v"]


def test_what_is_fine_is_summed_up_and_what_is_wrong_is_listed():
    report = interop.load_state_dict(Net(), STATE_DICT, rename={"module.optimizer": None}, dry_run=True)
    assert str(report).splitlines() == [
        "7 tensors loaded",
        "2 arrays not bit for bit as in the checkpoint: folded, summed, or cast",
        "1 tensor dropped (renamed to None):",
        "  module.optimizer",
        "1 tensor dropped (Flax has no use for it):",
        "  norm.num_batches_tracked",
        *report.faults().splitlines(),
        "report.table(all=True) shows every tensor",
    ]
    layers = nnx.List([nnx.BatchNorm(2, rngs=RNGS) for _ in range(500)])
    model = nnx.Sequential(*layers)
    report = interop.load_state_dict(model, interop.state_dict(model))
    assert str(report).splitlines() == [
        "2,000 tensors loaded",
        "500 tensors dropped (Flax has no use for it):",
        "  0.num_batches_tracked",
        "  and 499 more",
        "report.table(all=True) shows every tensor",
    ]


NAME = "multi_scale_feature_pyramid.decoder_blocks.7.upsampling_convolution.weight"


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200, 400])
def test_tables_fit_and_lose_nothing(width, monkeypatch):
    headings = ("", ("tensor", "shape", "dtype"), ("array", "size"), "how")
    rows = [
        ("missing", NAME, "(4, 4, 4, 4)", "float32", NAME.replace("weight", "kernel"), "", "o i ... -> ... i o"),
        ("loaded", "日本語" * 30, "", "", "a b", "(4,)", "x" * 90),
    ]
    monkeypatch.setenv("COLUMNS", str(width))
    table = text_table(headings, rows)
    assert table == text_table(headings, rows, width)
    lines = table.split("\n")
    assert max(map(cell_len, lines)) <= width
    assert not any(line != line.rstrip() for line in lines)
    assert lines[0].strip()
    # Every cell can be read down its column.
    letters = Counter("".join(lines))
    for cell in (cell for row in rows for cell in row):
        assert not Counter(cell.replace(" ", "")) - letters
    if width == 400:
        assert len(lines) == 4
    else:
        assert "shape dtype" in " ".join(table.split()) or width == 40


def test_a_table_of_short_names_is_one_line_for_each_row():
    table = text_table(
        ("", ("tensor", "shape"), "how"), [("loaded", "a.weight", "(3,)", ""), ("missing", "b", "", "")], 80
    )
    assert table.split("\n") == [
        "           tensor     shape   how",
        " ────────────────────────────────",
        " loaded    a.weight   (3,)",
        " missing   b",
    ]


def test_names_break_between_their_parts_and_cannot_steer_the_terminal():
    lines = text_table(("name",), [("encoder.blocks.12.attention_weights.query.bias",), ("a\x1b[31m",)], 40).split("\n")
    assert [line.strip() for line in lines[2:4]] == ["encoder.blocks.12.attention_weights.", "query.bias"]
    assert lines[-1] == r" a\x1b[31m"


def test_the_width_is_the_terminals(monkeypatch):
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal_width() == 123
    monkeypatch.setenv("COLUMNS", "7")
    assert terminal_width() == 40
    monkeypatch.delenv("COLUMNS")
    code = "from jax_tconv.interop._tables import terminal_width; print(terminal_width())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "80\n"


def test_a_dry_run_changes_nothing_and_never_raises_for_what_does_not_fit():
    net = Net()
    before = interop.state_dict(net)
    assert not interop.load_state_dict(net, STATE_DICT, dry_run=True).ok
    for name, value in interop.state_dict(net).items():
        np.testing.assert_array_equal(value, before[name])
    module, tensors, x = nn.Dense(2), {"weight": np.ones((2, 3), F32)}, jnp.ones((1, 3))
    variables, report = interop.linen_variables(module, tensors, x, dry_run=True)
    assert variables is None
    assert repr(report) == "Report(loaded=1, missing=1)"
    variables, report = interop.linen_variables(module, tensors, x, strict=False)
    assert variables["params"]["kernel"].shape == (3, 2)
    assert repr(report) == "Report(loaded=1, missing=1)"


def test_the_error_has_the_report():
    with pytest.raises(interop.StateDictError) as caught:
        interop.load_state_dict(Net(), STATE_DICT)
    assert caught.value.report.with_status("misshapen")[0].name == "head.weight"
    assert str(caught.value) == "\n".join(
        [
            "the state dict does not fit the model (the model is left unchanged)",
            "tensors of the wrong shape (1):",
            "  head.weight (3, 4), where the model needs (2, 4) (from module.head.weight)",
            "missing from the state dict (1):",
            "  norm.running_var",
            "unexpected in the state dict (2):",
            "  extra (from module.extra)",
            "  optimizer (from module.optimizer)",
        ]
    )


def test_what_is_dropped_comes_back_as_zero_or_as_given():
    net = nnx.Sequential(nnx.BatchNorm(3, rngs=RNGS), nnx.BatchNorm(3, rngs=RNGS))
    names = ["0.num_batches_tracked", "1.num_batches_tracked"]
    for given, counts in [(0, [0, 0]), (5, [5, 5]), ({names[0]: 3, names[1]: np.array(4), "x": 1}, [3, 4])]:
        tensors = interop.state_dict(net, num_batches_tracked=given)
        assert [tensors[name].tolist() for name in names] == counts
        assert all(tensors[name].dtype == np.int64 and tensors[name].shape == () for name in names)
    with pytest.raises(ValueError, match="num_batches_tracked must be an int or have .*, but it lacks '1.num_batches"):
        interop.state_dict(net, num_batches_tracked={names[0]: 3})


def test_dtypes_that_hold_every_value_are_taken():
    wider = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "int8": "float32"}
    for given, kept in wider.items():
        layer = nnx.Linear(2, 2, use_bias=False, rngs=RNGS)
        interop.load_state_dict(layer, {"weight": np.ones((2, 2), given)})
        assert layer.kernel[...].dtype == kept
    for given, held in [
        ("float64", "float32"),
        ("float16", "bfloat16"),
        ("int32", "float32"),
        ("complex64", "float32"),
    ]:
        layer = nnx.Linear(2, 2, use_bias=False, param_dtype=held, rngs=RNGS)
        with pytest.raises(interop.StateDictError, match=f"weight {given}, where the model has {held}"):
            interop.load_state_dict(layer, {"weight": np.ones((2, 2), given)}, strict=False)
    with jax.enable_x64(True):
        layer = nnx.Linear(2, 2, use_bias=False, param_dtype="float64", rngs=RNGS)
        interop.load_state_dict(layer, {"weight": np.full((2, 2), 1 / 3)})
        assert layer.kernel[0, 0] == 1 / 3


def test_models_without_values_cannot_be_exported():
    abstract = nnx.eval_shape(lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0)))
    with pytest.raises(ValueError, match="the model has shapes but no values, at bias; load a state dict first"):
        interop.state_dict(abstract)
    with pytest.raises(ValueError, match=r"variables must have params.bias of shape \(2,\), got none"):
        interop.linen_state_dict(nn.Dense(2), {"params": {}}, jnp.ones((1, 3)))
    with pytest.raises(TypeError, match="model must be an nnx model, got Dense; for linen there are"):
        interop.state_dict(nn.Dense(2))
