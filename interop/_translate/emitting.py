"""One frame of a run as lines of Flax: each function and module that was called, in turn, with its axes followed.

Every line sets variables of its own, `%0`, `%1` and so on; `tidying.py` puts together what a person would not take
apart, and `naming.py` names the rest.
"""

import ast
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from flax import nnx

from .._from_torch.made import Make
from .code import Expression, call, literal, name, operation, subscript
from .graph import Frame, Node, Refusal, Value, leaves, tree_map, values
from .orders import Order, channels_last, moved, plain
from .sizes import Arithmetic, AxisSize, Given, Result, TracedFloat, TracedInt, is_traced


class Untranslatable(Exception):
    """What has no translation: the reason, and what would do."""

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason, self.advice = reason, advice


@dataclasses.dataclass(frozen=True)
class Out:
    """A result: the expression that makes it, and the order of its axes."""

    expression: Expression
    order: Order


@dataclasses.dataclass(frozen=True)
class Several:
    """An expression that gives several results at once."""

    expression: Expression
    orders: Sequence[Order]


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter or buffer: how it is read; if it is a layer's, the layer, torch's and the expression that is it."""

    out: Out
    layer: Any = None
    access: Expression | None = None


@dataclasses.dataclass(frozen=True)
class Loop:
    """The head of a loop: its variables, and what they run through."""

    variables: str
    source: str


@dataclasses.dataclass(frozen=True)
class Place:
    """An axis of an array, by the array's name, whose size a line takes, and how many axes that has."""

    array: str
    axis: int
    ndim: int


@dataclasses.dataclass(eq=False)
class Line:
    """An assignment to one variable, or to several at once; a comment goes before it, and it may be in a loop.

    Without targets, it raises its expression.
    """

    targets: list[str]
    expression: Expression
    several: bool = False
    comment: str = ""
    loop: Loop | None = None
    place: Place | None = None


@dataclasses.dataclass(eq=False)
class Body:
    """A frame as code: the arguments that the method takes, its lines, and what it returns.

    `extras` are attributes that torch's module does not have, with the layers that they hold.
    """

    arguments: list[str]
    lines: list[Line]
    result: Expression
    orders: Any
    hints: dict[str, list[str]]
    extras: dict[str, Make] = dataclasses.field(default_factory=dict)


# What a function of torch's becomes: called with the emitter and torch's own arguments.
Handler: TypeAlias = Callable[..., Any]
# How a layer or a module is called: with the emitter and the node.
CallModule: TypeAlias = Callable[["Emitter", Node], Any]
# How a parameter or buffer is read: with the frame and its value there.
Read: TypeAlias = Callable[[Frame, Value], "Parameter"]


class Emitter:
    """Writes one frame."""

    def __init__(self, frame: Frame, functions: dict[str, Handler], call_module: CallModule, read: Read) -> None:
        self.frame = frame
        self.node: Node | None = None
        self.lines: list[Line] = []
        self.hints: dict[str, list[str]] = {}
        self.refused: list[Refusal] = []
        # The values and nodes that something is made of.
        self.needed: set[Any] = set()
        # Values along whose first axis others are stacked, and these.
        self.items: dict[Value, list[Out]] = {}
        # Values that are a vector along one axis and have one row along the others: the vector, and the axis.
        self._vectors: dict[Value, tuple[Value, int]] = {}
        # What recurrent layers carry on, by torch's states.
        self.carries: dict[tuple[Value, ...], list[Expression]] = {}
        self.extras: dict[str, Make] = {}
        self._functions, self._call_module, self._read = functions, call_module, read
        self._known: dict[Value, tuple[Expression, Order]] = {}
        self._sizes: dict[Any, Expression] = {}
        self._holders: dict[int, Expression] = {}
        self._comment = ""

    def body(self, orders: dict[str, Any]) -> Body:
        """The frame as code, with arguments whose axes are in these orders."""
        arguments = []
        for parameter, tree in self.frame.parameters.items():
            found = [(place, leaf) for place, leaf in leaves(tree) if isinstance(leaf, Value) or is_traced(leaf)]
            if not found:
                continue
            arguments.append(parameter)
            for place, leaf in found:
                variable: Expression = ast.Name(parameter, ast.Load())
                for key in place:
                    variable = subscript(variable, key)
                if isinstance(leaf, Value):
                    self._known.setdefault(leaf, (variable, orders_at(orders[parameter], place)))
                else:
                    self._sizes[Given((parameter, *place))] = variable
        for node in self.live(self.frame):
            self.emit(node)
        try:
            result, result_orders = self._returned(self.frame.result)
        except Untranslatable as refused:
            where = self.frame.nodes[-1].where if self.frame.nodes else ""
            self._refuse(Node("refusal", "", (), {}, None, where), refused)
            result = literal(None)
            result_orders = tree_map(
                lambda leaf: Orders(plain(leaf.ndim)) if isinstance(leaf, Value) else None, self.frame.result
            )
        return Body(arguments, self.lines, result, result_orders, self.hints, self.extras)

    def emit(self, node: Node) -> None:
        """Writes what one call becomes."""
        self.node, self._comment = node, ""
        try:
            self._emit(node)
        except Untranslatable as refused:
            self._refuse(node, refused)

    def live(self, frame: Frame) -> list[Node]:
        """The nodes of a frame whose results are needed."""
        needed: set[Any] = set(values(frame.result))
        needed |= {one for _, leaf in leaves(frame.result) for one in _sources(leaf)}
        live = []
        for node in reversed(frame.nodes):
            given = {one for _, leaf in leaves(node.result) for one in ({leaf} if isinstance(leaf, Value) else ())}
            if given & needed or node in needed or node.kind == "refusal":
                live.append(node)
                for tree in (node.args, node.kwargs):
                    needed |= set(values(tree))
                    needed |= {one for _, leaf in leaves(tree) for one in _sources(leaf)}
        self.needed |= needed
        return live[::-1]

    def _emit(self, node: Node) -> None:
        if node.refusal is not None:
            raise Untranslatable(*node.refusal)
        if node.kind != "function":
            self._set(node.result, self._call_module(self, node), node)
            return
        item = self._item(node)
        if item is not None:
            self._set(node.result, item, node)
            return
        self._note_vector(node)
        handler = self._functions.get(str(node.target))
        if handler is None:
            raise Untranslatable(f"no translation of torch's {node.target} is known", "write that part in Flax")
        try:
            # torch calls the first one input, where it is named.
            first = {word: value for word, value in node.kwargs.items() if word == "input" and not node.args}
            rest = {word: value for word, value in node.kwargs.items() if word not in first}
            results = handler(self, *first.values(), *node.args, **rest)
        except TypeError as error:
            if "positional argument" in str(error) or "keyword argument" in str(error):
                raise Untranslatable(
                    f"torch's {node.target} is called with arguments whose translation is not known"
                ) from error
            raise
        self._set(node.result, results, node)

    def _note_vector(self, node: Node) -> None:
        """Notes that a call gives a vector new axes of one row."""
        known = node.target in ("__getitem__", "unsqueeze", "view", "reshape") and isinstance(node.result, Value)
        if not known or not node.args:
            return
        x, shape = node.args[0], node.result.shape
        x = self._vectors[x][0] if x in self._vectors else x
        index = node.args[1] if node.target == "__getitem__" else None
        parts = index if isinstance(index, tuple) else (index,)
        if any(part is not None and part is not Ellipsis and part != slice(None) for part in parts):
            return
        if not isinstance(x, Value) or x.ndim != 1 or x.shape[0] == 1:
            return
        if len(shape) > 1 and sorted(shape) == [*[1] * (len(shape) - 1), x.shape[0]]:
            self._vectors[node.result] = x, shape.index(x.shape[0])

    def _item(self, node: Node) -> Out | None:
        """One of the values that are stacked in another, if that is what a call selects."""
        known = node.target in ("__getitem__", "select", "squeeze") and node.args
        if not known or not isinstance(node.args[0], Value) or node.args[0] not in self.items:
            return None
        if node.target == "squeeze":
            found = self.items[node.args[0]]
            return found[0] if node.args[1:] == (0,) and len(found) == 1 else None
        dim, index = (0, node.args[1]) if node.target == "__getitem__" else (*node.args[1:], None, None)[:2]
        first, *rest = index if isinstance(index, tuple) else (index,)
        whole = all(one == slice(None) or one is Ellipsis for one in rest)
        return self.items[node.args[0]][first] if dim == 0 and whole and type(first) is int else None

    def _refuse(self, node: Node, refused: Untranslatable) -> None:
        """Notes what cannot be translated; where it belongs stands what raises an error that says why."""
        refusal = Refusal(self.frame.path, node.where, refused.reason, refused.advice)
        self.refused.append(refusal)
        target = node.target if node.kind != "layer" else type(node.module).__name__
        what = ".".join(target) if isinstance(target, tuple) else target
        place = f" ({node.where})" if node.where else ""
        advice = f"; {refused.advice}" if refused.advice else ""
        if node.result is None:
            comment = f"TODO{place}{advice}; what follows is what happens on the example".replace("; ", ": ", 1)
            self.lines.append(Line([], call("NotImplementedError", refused.reason), comment=comment))
            return
        given = [value for value in dict.fromkeys(values([node.args, node.kwargs])) if value in self._known]
        missing = call("missing", refused.reason, *map(self.array, given))
        found = values(node.result)
        # Maps stay as they are, so that what is written there may be too.
        by_rank = {value.ndim: self.order(value) for value in reversed(given)}
        orders = [by_rank.get(value.ndim, plain(value.ndim)) for value in found]
        shapes = ", ".join(
            str(tuple(value.shape[axis] for axis in order)) for value, order in zip(found, orders, strict=True)
        )
        self._comment = f"TODO: {what}{place}, which gives {shapes}{advice}"
        if isinstance(node.result, Value):
            self.set(node.result, Out(missing, orders[0]))
        else:
            whole = self.temporary(missing)
            for n, (value, order) in enumerate(zip(found, orders, strict=True)):
                self._known[value] = subscript(whole, n), order

    # Results

    def _set(self, result: Any, made: Any, node: Node) -> None:
        if isinstance(result, Value):
            assert isinstance(made, Out), node.target
            self.set(result, made)
        elif isinstance(made, Several):
            given = list(result)
            targets = [self._variable(value) for value in given]
            self.lines.append(Line(targets, made.expression, several=True, comment=self._comment))
            for value, target, order in zip(given, targets, made.orders, strict=True):
                self._known[value] = ast.Name(target, ast.Load()), order
        elif isinstance(made, Out):  # a structure by one name
            target = f"%{len(self.hints)}"
            self.hints[target] = []
            self.lines.append(Line([target], made.expression, comment=self._comment))
            whole = ast.Name(target, ast.Load())
            self._holders[node.holder] = whole
            for place, leaf in leaves(result):
                expression: Expression = whole
                for key in place:
                    expression = subscript(expression, key)
                if isinstance(leaf, Value):
                    self._known[leaf] = expression, orders_at(made.order, place)
                elif is_traced(leaf):
                    self._sizes[leaf.source] = expression
        else:
            for leaf, one in zip([leaf for _, leaf in leaves(result)], [one for _, one in leaves(made)], strict=True):
                if isinstance(leaf, Value) and one is not None:
                    self.set(leaf, one)

    def set(self, value: Value, made: Out) -> None:
        """Makes a value known: by a variable of its own, unless it is one already."""
        if isinstance(made.expression, ast.Name):
            self._known[value] = made.expression, made.order
            hints = self.hints.get(made.expression.id)
            if hints is not None:
                hints += [hint for hint in value.hints if hint not in hints]
            return
        target = self._variable(value)
        self.lines.append(Line([target], made.expression, comment=self._comment))
        self._known[value] = ast.Name(target, ast.Load()), made.order

    def _variable(self, value: Value) -> str:
        target = f"%{len(self.hints)}"
        self.hints[target] = list(value.hints)
        return target

    def temporary(self, expression: Expression, hint: str = "") -> Expression:
        """A variable that holds this expression."""
        target = f"%{len(self.hints)}"
        self.hints[target] = [hint] if hint else []
        self.lines.append(Line([target], expression, comment=self._comment))
        self._comment = ""
        return ast.Name(target, ast.Load())

    def extra(self, word: str, layer: Make) -> Expression:
        """The attribute that holds a layer which torch's module does not have, as it calls a function there."""
        for known, other in self.extras.items():
            if other == layer:
                return name(f"self.{known}")
        module = self.frame.module
        taken = {*module._modules, *module._parameters, *module._buffers, *self.extras, *dir(nnx.Module)}
        found = next(one for n in range(len(taken) + 1) if (one := f"{word}{n + 1}" if n else word) not in taken)
        self.extras[found] = layer
        return name(f"self.{found}")

    def unpacked(self, expression: Expression, *hints: list[str]) -> list[Expression]:
        """Variables that hold the results of an expression that gives several, with words for each."""
        targets = [f"%{len(self.hints) + n}" for n in range(len(hints))]
        self.hints |= {target: [*words] for target, words in zip(targets, hints, strict=True)}
        self.lines.append(Line(targets, expression, several=True, comment=self._comment))
        self._comment = ""
        return [ast.Name(target, ast.Load()) for target in targets]

    def comment(self, words: str) -> None:
        """What to say of the line that is being written."""
        self._comment = words

    def _returned(self, tree: Any) -> tuple[Expression, Any]:
        orders = tree_map(lambda leaf: Orders(self.nice(leaf)) if isinstance(leaf, Value) else None, tree)
        return self.structure(tree), orders

    def nice(self, value: Value) -> Order:
        """The order in which it may go elsewhere: that of torch, or with the channels last."""
        order = self.order(value)
        return order if order in (plain(value.ndim), channels_last(value.ndim)) else plain(value.ndim)

    def structure(self, tree: Any) -> Expression:
        """A structure of values, sizes and other things as an expression, each value in its nice order."""
        if isinstance(tree, Value):
            return self.array(tree, self.nice(tree))
        if isinstance(tree, tuple | list):
            kind = ast.Tuple if isinstance(tree, tuple) else ast.List
            return kind([self.structure(item) for item in tree], ast.Load())
        if isinstance(tree, dict):
            return ast.Dict([self.structure(key) for key in tree], [self.structure(item) for item in tree.values()])
        return self.number(tree)

    # What handlers ask

    def order(self, value: Value) -> Order:
        """The order of a value's axes."""
        return self._find(value)[1]

    def array(self, value: Any, order: Order | None = None) -> Expression:
        """The expression of a value, in the order that it has or in another; of a number, itself."""
        if not isinstance(value, Value):
            return self.number(value)
        expression, have = self._find(value)
        return expression if order is None else moved(expression, have, order)

    def _find(self, value: Value) -> tuple[Expression, Order]:
        if value not in self._known:
            found = self._outside(value)
            self._known[value] = found.expression, found.order
        return self._known[value]

    def _outside(self, value: Value) -> Out:
        """A parameter, a buffer or a constant."""
        if value.attribute is not None:
            return self._read(self.frame, value).out
        if value.constant is not None:
            return Out(constant(value), plain(value.ndim))
        raise AssertionError(f"nothing makes {value}")

    def layer(self, value: Value, kind: type) -> Expression | None:
        """The layer of this class whose weight a value is, or None."""
        if value.attribute is None or value.attribute[-1] != "weight":
            return None
        found = self._read(self.frame, value)
        return found.access if isinstance(found.layer, kind) else None

    def number(self, value: Any) -> Expression:
        """The expression of a number: of a size, by where it comes from."""
        if isinstance(value, TracedInt | TracedFloat):
            return self._size(value)
        inner = [leaf for _, leaf in leaves(value)] if isinstance(value, tuple | list) else []
        if any(is_traced(leaf) or isinstance(leaf, ast.expr) for leaf in inner):
            kind = ast.Tuple if isinstance(value, tuple) else ast.List
            return kind([self.number(item) for item in value], ast.Load())
        if isinstance(value, Value):
            return self.array(value)
        if type(value) is float and value in _LIMITS:
            return name(f"jnp.finfo(jnp.float32).{_LIMITS[value]}")
        try:
            return literal(value)
        except TypeError:
            if str(value).startswith("torch."):
                return dtype(value)
            raise Untranslatable(f"it is called with a {type(value).__name__}") from None

    def _size(self, value: TracedInt | TracedFloat) -> Expression:
        source = value.source
        if source in self._sizes:
            return self._sizes[source]
        if isinstance(source, AxisSize):
            expression, order = self._find(source.value)
            shape = ast.Attribute(expression, "shape", ast.Load())
            where = _place(order, source.axis)
            found = self._sized(subscript(shape, literal(where)), source)
            if isinstance(expression, ast.Name):
                self.lines[-1].place = Place(expression.id, where, len(order))
        elif isinstance(source, Arithmetic):
            operands = [self.number(operand) for operand in source.operands]
            found = (
                call(source.operator, *operands)
                if source.operator[0].isalpha()
                else operation(source.operator, *operands)
            )
            if source not in self.frame.size_names:
                return found
            found = self._sized(found, source)
        else:
            return literal(float(value) if isinstance(value, float) else int(value))
        self._sizes[source] = found
        return found

    def _sized(self, expression: Expression, source: Any) -> Expression:
        """A variable that holds a size."""
        target = f"%{len(self.hints)}"
        self.hints[target] = [self.frame.size_names.get(source) or self._letter(source)]
        self.lines.append(Line([target], expression))
        return ast.Name(target, ast.Load())

    def _letter(self, source: Any) -> str:
        """The usual letter for the size of an axis."""
        if not isinstance(source, AxisSize):
            return "size"
        ndim = source.value.ndim
        letters = "nlc" if ndim == 3 and self.order(source.value) == plain(3) else _LETTERS.get(ndim, "")
        return letters[source.axis] if letters else "size"

    def size(self, value: Value, axis: int) -> Expression:
        """The size of one of torch's axes of a value, whatever it is in other calls."""
        return self.number(TracedInt(value.shape[axis], AxisSize(value, axis)))

    def aligned(self, *operands: Any) -> tuple[list[Expression], Order]:
        """Tensors and numbers as they are given to an operator that broadcasts, and the order of what it gives."""
        given = [one for one in operands if isinstance(one, Value)]
        rank = max(value.ndim for value in given)
        widest = max((value for value in given if value.ndim == rank), key=lambda value: _elements(value.shape))
        order = self.order(widest)

        def given_as(one: Any) -> Expression:
            if one is widest:
                return self.array(one)
            return self.broadcast(one, order) if isinstance(one, Value) else self.number(one)

        return [given_as(one) for one in operands], order

    def broadcast(self, value: Value, order: Order) -> Expression:
        """A tensor as it is given to what has axes in this order, to which it broadcasts as torch's do."""
        missing = len(order) - value.ndim
        if value.ndim == 0 or (value.attribute is not None and set(value.shape) == {1}):
            return self.array(value)
        vector, at = self._vectors.get(value, (None, 0))
        if vector is not None and order[-1] == at + missing:
            return self.array(vector)
        own = tuple(axis - missing for axis in order if axis >= missing)
        expression = self.array(value, own)
        first = next(n for n, axis in enumerate(order) if axis >= missing)
        if not any(axis < missing for axis in order[first:]):
            return expression
        index: tuple[Any, ...] = tuple(None if axis < missing else slice(None) for axis in order[first:])
        if all(index[n] is not None for n in range(value.ndim)):
            index = (Ellipsis, *index[value.ndim :])
        return subscript(expression, index)


@dataclasses.dataclass(frozen=True)
class Orders:
    """The order of one value in a structure of orders, where a tuple would be taken for a structure."""

    order: Order


def orders_at(tree: Any, place: tuple[Any, ...]) -> Order:
    """The order at a place of a structure of orders."""
    for key in place:
        tree = tree[key]
    return tree.order


def _sources(leaf: Any) -> set[Any]:
    """The values and nodes that a traced number comes from."""
    if not is_traced(leaf):
        return set()
    source, found = leaf.source, set()
    if isinstance(source, AxisSize):
        found.add(source.value)
    elif isinstance(source, Result):
        found.add(source.node)
    elif isinstance(source, Arithmetic):
        for operand in source.operands:
            found |= _sources(operand)
    return found


def _place(order: Order, axis: int) -> int:
    found = order.index(axis)
    return -1 if found == len(order) - 1 and len(order) > 2 else found


def _elements(shape: tuple[int, ...]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


# torch's dtypes by other names; those of 64 bits are what JAX takes for want of another, which is so wide if it may be.
_DTYPES = {
    "half": "float16", "float": "float32", "bool": "bool", "long": "int", "int64": "int", "double": "float",
    "float64": "float", "cdouble": "complex", "complex128": "complex", "cfloat": "complex64", "short": "int16",
}  # fmt: skip


def dtype(value: Any) -> Expression:
    """A dtype of torch's by JAX's name."""
    found = str(value).removeprefix("torch.")
    found = _DTYPES.get(found, found)
    return name(found if found in ("bool", "int", "float", "complex") else f"jnp.{found}")


def unlike(value: Any, kind: type) -> dict[str, Expression]:
    """The argument `dtype`, unless it is what JAX takes for numbers of this kind in Python."""
    usual = {bool: ("bool",), int: ("int64",), float: ("float32", "float64"), complex: ("complex64", "complex128")}
    return {} if str(value).removeprefix("torch.") in usual[kind] else {"dtype": dtype(value)}


# Numbers that nobody writes out.
_LIMITS = {
    -3.4028234663852886e38: "min",
    3.4028234663852886e38: "max",
    1.1920928955078125e-07: "eps",
    1.1754943508222875e-38: "tiny",
}
_LETTERS = {2: "nc", 3: "ncl", 4: "nchw", 5: "ncdhw"}
MOST_WRITTEN = 64


def constant(value: Value) -> Expression:
    """A tensor that the network holds outside its parameters, as it would be made."""
    return written(value.constant)


def written(tensor: Any) -> Expression:
    """A tensor's values as source."""
    kind = type(tensor.new_zeros(()).item())
    more = unlike(tensor.dtype, kind)
    numbers = tensor.flatten()
    if tensor.ndim == 0:
        return call("jnp.array", tensor.item(), **more)
    if not len(numbers):
        return call("jnp.zeros", tuple(tensor.shape), dtype=dtype(tensor.dtype))
    if bool((numbers == numbers[0]).all()):
        return call("jnp.full", tuple(tensor.shape), numbers[0].item(), **more)
    if kind is int and len(numbers) > 2 and len(numbers) == tensor.shape[-1]:
        steps = numbers[1:] - numbers[:-1]
        if bool((steps == steps[0]).all()):
            return _progression(numbers.tolist(), tensor.ndim, more)
    if len(numbers) > MOST_WRITTEN:
        raise Untranslatable(
            f"it uses a tensor of {len(numbers):,} values that its state dict does not hold",
            "register it as a buffer, which is persistent",
        )
    return call("jnp.array", tensor.tolist(), **more)


def _progression(numbers: list[int], ndim: int, more: dict[str, Expression]) -> Expression:
    first, step = numbers[0], numbers[1] - numbers[0]
    bounds = (first, first + step * len(numbers), step) if step != 1 else (first, first + len(numbers))
    found = call("jnp.arange", *(bounds[1:] if bounds[0] == 0 and step == 1 else bounds), **more)
    return subscript(found, (None,) * (ndim - 1)) if ndim > 1 else found
