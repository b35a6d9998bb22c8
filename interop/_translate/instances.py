"""The modules of a network as code: each module's frame as the body of a method, and how modules call one another."""

import ast
import dataclasses
import inspect
from typing import Any

import torch

from .code import Expression, call, literal, name, names, subscript
from .emitting import Body, Emitter, Orders, Out, Parameter, Untranslatable
from .functions import FUNCTIONS
from .graph import Frame, Node, Refusal, Value, leaves, tree_map, values
from .layers import call_layer, is_layer
from .orders import Order, channels_last, plain
from .parameters import of_layer
from .tidying import return_at_once, tidy


@dataclasses.dataclass(eq=False)
class Instance:
    """A module that becomes an object of a class of its own, with what its method does."""

    module: Any
    path: tuple[str, ...]
    orders: dict[str, Any]
    body: Body
    frame: Frame


class Network:
    """All that is known of a network while it is written: its instances, and how its parts are held."""

    def __init__(self, root: Frame) -> None:
        self.instances: dict[int, Instance] = {}
        self.refused: list[Refusal] = []
        # What a layer was called with, by the layer.
        self.given: dict[int, Value] = {}
        # The modules whose parameters and buffers are read.
        self.read_from: set[int] = set()
        # The items of each Sequential that is one in Flax too.
        self.items: dict[int, list[Expression | None]] = {}
        # The Sequentials that are lists, since their items are called one by one.
        self.lists: set[int] = set()
        self._modules = {id(module): module for module in root.module.modules()}
        self._places: dict[int, dict[int, tuple[str, ...]]] = {}
        self._frame = root
        self.root = self.instance(root, {name: _first_orders(root, tree) for name, tree in root.parameters.items()})

    def instance(self, frame: Frame, orders: dict[str, Any]) -> Instance:
        """The module of a frame as an instance, whose arguments have these orders of axes."""
        emitter = Emitter(frame, FUNCTIONS, self.call, self.read)
        body = emitter.body(orders)
        if frame is not self._frame:
            body.arguments = _used(body)
        self.refused += emitter.refused
        found = Instance(frame.module, frame.path, orders, body, frame)
        known = self.instances.get(id(frame.module))
        if known is None:
            self.instances[id(frame.module)] = found
            self._take_items(found)
            return found
        if _shown(known.body) != _shown(body):
            reason = "it does different things in different calls"
            self.refused.append(Refusal(frame.path, "", reason, "use a module of its own for each"))
        return known

    # Calls

    def call(self, e: Emitter, node: Node) -> Any:
        """What the call of a layer or of a module becomes."""
        module = node.module
        if node.kind == "layer":
            self.given.setdefault(id(module), _first(node.args, node.kwargs))
            return call_layer(e, node, self.access(e.frame, node))
        if type(module) is torch.nn.Sequential and e.frame.path is not None:
            made = self._call_sequential(e, node)
            if made is not None:
                return made
        return self._call_instance(e, node)

    def _call_instance(self, e: Emitter, node: Node) -> Any:
        assert node.frame is not None
        given = inspect.signature(node.module.forward).bind(*node.args, **node.kwargs).arguments
        known = self.instances.get(id(node.module))
        wanted = known.orders if known else {}
        orders = {
            word: tree_map(lambda leaf: Orders(e.nice(leaf)) if isinstance(leaf, Value) else None, tree)
            for word, tree in given.items()
        }
        if known is not None and _arrays(orders) != _arrays(wanted):
            raise Untranslatable("it is called with different tensors elsewhere", "use a module of its own for each")
        instance = self.instance(node.frame, {**orders, **wanted})
        function = self.access(e.frame, node)
        args = [self._argument(e, given[word], instance.orders[word]) for word in instance.body.arguments]
        expression = call(function, *args)
        if isinstance(node.result, Value):
            return Out(expression, instance.body.orders.order)
        return Out(expression, instance.body.orders)

    def _argument(self, e: Emitter, tree: Any, orders: Any) -> Expression:
        if isinstance(tree, Value):
            return e.array(tree, orders.order)
        if isinstance(tree, tuple | list):
            kind = ast.Tuple if isinstance(tree, tuple) else ast.List
            return kind([self._argument(e, one, order) for one, order in zip(tree, orders, strict=True)], ast.Load())
        if isinstance(tree, dict):
            items = [self._argument(e, one, orders[key]) for key, one in tree.items()]
            return ast.Dict([literal(key) for key in tree], items)
        return e.number(tree)

    def access(self, frame: Frame, node: Node) -> Expression:
        """A module by the attributes that lead to it from the frame's."""
        if id(node.module) not in self._inside(frame.module):
            words = ".".join(node.target)
            raise Untranslatable(f"it calls {words}, which is not a part of it", "make it a part of one module")
        return self._place(frame.module, node.module)

    def read(self, frame: Frame, value: Value) -> Parameter:
        """A parameter or buffer of the frame's module, or of one in it."""
        assert value.attribute is not None
        *steps, word = value.attribute
        holder, rest = frame.module, [*steps, word]
        while len(rest) > 1 and (holder is frame.module or not is_layer(holder)):
            holder = holder._modules[rest.pop(0)]
        found = self._place(frame.module, holder)
        self.read_from.add(id(holder))
        if isinstance(holder, torch.nn.ParameterList | torch.nn.ParameterDict):
            kind = type(holder).__name__
            raise Untranslatable(f"it reads a parameter in a {kind}", "make each an attribute of the module")
        if holder is not frame.module and is_layer(holder):
            return of_layer(holder, self.given.get(id(holder)), found, ".".join(rest))
        found = ast.Attribute(found, word, ast.Load())
        return Parameter(Out(subscript(found, Ellipsis), plain(value.ndim)))

    def _place(self, module: Any, part: Any) -> Expression:
        """A part of a module by the attributes that lead to it."""
        return name("self") if part is module else self.reached(module, self._inside(module)[id(part)])

    def reached(self, module: Any, path: tuple[str, ...]) -> Expression:
        """What is at a path below a module, by the attributes that lead to it."""
        found, holder = name("self"), module
        for step in path:
            if isinstance(holder, torch.nn.ModuleDict):
                found = subscript(found, step)
            elif step.isdigit() and not self._is_list(holder):
                found = call("getattr", found, step)
            elif step.isdigit():
                if self._is_sequential(holder):
                    found = ast.Attribute(found, "layers", ast.Load())
                found = subscript(found, int(step))
            else:
                found = ast.Attribute(found, step, ast.Load())
            holder = holder._modules[step]
        return found

    def named_items(self, instance: Instance) -> dict[str, list[str]]:
        """What PyTorch's loops call the items of lists in an instance, by the expressions that lead to the lists."""
        found = {}
        for key, path in self._inside(instance.module).items():
            holder = self._modules[key]
            if self._is_list(holder):
                lead = self.reached(instance.module, path)
                if self._is_sequential(holder):
                    lead = ast.Attribute(lead, "layers", ast.Load())
                words = instance.frame.module_names
                found[ast.unparse(lead)] = [words.get(id(item), "") for item in holder._modules.values()]
        return found

    def _inside(self, module: Any) -> dict[int, tuple[str, ...]]:
        """The modules in a module, each with its place there, the first where it has several."""
        if id(module) not in self._places:
            self._places[id(module)] = {id(m): tuple(n.split(".")) for n, m in module.named_modules() if n}
        return self._places[id(module)]

    def _is_list(self, holder: Any) -> bool:
        if self._is_sequential(holder) or isinstance(holder, torch.nn.ModuleList):
            return True
        return is_numbered(holder) and type(holder) is torch.nn.Sequential and id(holder) not in self.instances

    def _is_sequential(self, holder: Any) -> bool:
        return isinstance(holder, torch.nn.Sequential) and id(holder) in self.items

    # Sequentials

    def _call_sequential(self, e: Emitter, node: Node) -> Any:
        """A Sequential as one in Flax, or, where its layers do not simply follow one another, layer by layer."""
        frame = node.frame
        assert frame is not None
        x = _first(node.args, node.kwargs)
        if not is_numbered(node.module):
            return None
        if id(node.module) not in self.lists and isinstance(x, Value) and isinstance(frame.result, Value):
            order = e.nice(x)
            found = self._items(frame, order)
            if found is not None:
                items, result = found
                self.items.setdefault(id(node.module), items)
                return Out(call(self.access(e.frame, node), e.array(x, order)), result)
        self.lists.add(id(node.module))
        return self._inlined(e, node)

    def _take_items(self, instance: Instance) -> None:
        """Of an instance that is a Sequential by another name, the items, if they simply follow one another."""
        module, frame = instance.module, instance.frame
        x = _first(frame.parameters)
        if not (is_numbered(module) and type(module).forward is torch.nn.Sequential.forward and isinstance(x, Value)):
            return
        if not isinstance(frame.result, Value):
            return
        order = next(orders.order for orders in instance.orders.values())
        found = self._items(frame, order)
        if found is not None:
            self.items[id(module)] = found[0]

    def _items(self, frame: Frame, order: Order) -> tuple[list[Expression | None], Order] | None:
        """One item for each module of a Sequential, and the order of what it gives; None if it is no chain."""
        (x,) = values(frame.parameters)[:1]
        items: list[Expression | None] = []
        rest = list(frame.nodes)
        for child in frame.module._modules.values():
            nodes: list[Node] = []
            while rest and child is (rest[0].part if rest[0].kind == "function" else rest[0].module):
                nodes.append(rest.pop(0))
                if nodes[-1].kind != "function":
                    break
            emitter = Emitter(
                Frame(frame.module, frame.path, {"x": x}, nodes, nodes[-1].result if nodes else x),
                FUNCTIONS,
                self.call,
                self.read,
            )
            body = emitter.body({"x": Orders(order)})
            if not isinstance(body.orders, Orders) or emitter.refused:
                return None
            tidy(body)
            return_at_once(body)
            item = self._item(body, nodes)
            if item is False:
                return None
            items.append(item)
            if nodes:
                x, order = nodes[-1].result, body.orders.order
            if not isinstance(x, Value):
                return None
        return (items, order) if x is frame.result else None

    def _item(self, body: Body, nodes: list[Node]) -> Any:
        """A function of one array: None for the layer or module itself, an expression for others, False for neither."""
        if not nodes:
            return name("nnx.identity")
        if body.lines:
            return False
        result = body.result
        is_module = nodes[0].kind != "function"
        if is_module:
            plainly = (
                isinstance(result, ast.Call)
                and len(nodes) == 1
                and all(map(_is_x, result.args))
                and not result.keywords
            )
            return None if plainly else False
        if "self" in names(result):
            return False
        if (
            isinstance(result, ast.Call)
            and len(result.args) == 1
            and _is_x(result.args[0])
            and isinstance(result.func, ast.Attribute | ast.Name)
        ):
            if not result.keywords:
                return result.func
            if names(result).count("x") == 1:
                return ast.Call(name("partial"), [result.func], result.keywords)
        if _is_x(result):
            return name("nnx.identity")
        return ast.Lambda(ast.arguments([], [ast.arg("x")], None, [], [], None, []), result)

    def _inlined(self, e: Emitter, node: Node) -> Any:
        """The layers of a Sequential called one by one where it was called."""
        frame = node.frame
        assert frame is not None
        for inner, outer in zip(values(frame.parameters), values([node.args, node.kwargs]), strict=False):
            e.set(inner, Out(e.array(outer), e.order(outer)))
        for one in e.live(frame):
            e.emit(one)
        if not isinstance(frame.result, Value):
            raise Untranslatable("its Sequential gives several tensors", "call its layers one by one")
        return Out(e.array(frame.result), e.order(frame.result))


def _used(body: Body) -> list[str]:
    """The arguments of a method without those of which it makes nothing, such as a mask that is known to be causal."""
    used = {word for tree in (*(line.expression for line in body.lines), body.result) for word in names(tree)}
    return [word for word in body.arguments if word in used] or body.arguments[:1]


def _arrays(orders: dict[str, Any]) -> set[tuple[Any, ...]]:
    """The places of arrays among arguments."""
    return {(word, *place) for word, tree in orders.items() for place, leaf in leaves(tree) if leaf is not None}


def _first(*trees: Any) -> Any:
    """The first value in these structures; None if there is none."""
    return next(iter(values(list(trees))), None)


def is_numbered(module: Any) -> bool:
    """Whether a module is a Sequential whose layers have no names but their numbers."""
    numbers = [str(n) for n in range(len(module._modules))]
    return isinstance(module, torch.nn.Sequential) and list(module._modules) == numbers


def _is_x(expression: ast.AST) -> bool:
    return isinstance(expression, ast.Name) and expression.id == "x"


def _shown(body: Body) -> str:
    lines = [(line.targets, ast.dump(line.expression)) for line in body.lines]
    return repr((body.arguments, lines, ast.dump(body.result)))


def _first_orders(root: Frame, tree: Any) -> Any:
    """The orders of what the network takes: with the channels last where its first use asks for that."""
    return tree_map(lambda leaf: Orders(_first_order(root, leaf)) if isinstance(leaf, Value) else None, tree)


def _first_order(frame: Frame, value: Value) -> Order:
    found = _asked(frame, value)
    if found is not None:
        return channels_last(value.ndim) if found else plain(value.ndim)
    return channels_last(value.ndim) if value.ndim > 3 else plain(value.ndim)


_MAPS = ("conv", "pool", "interpolate", "pixel", "instance_norm", "group_norm", "batch_norm", "pad", "grid_sample")


def _asked(frame: Frame, value: Value) -> bool | None:
    """Whether the first use of a tensor asks for its channels last; None if nothing tells."""
    for node in frame.nodes:
        given = [*values(node.args), *values(node.kwargs)]
        if value not in given:
            continue
        if node.kind == "layer":
            from .layers import input_order

            return input_order(node.module, value, plain(value.ndim)) != plain(value.ndim)
        if node.kind == "module":
            assert node.frame is not None
            inner = values(node.frame.parameters)
            at = given.index(value)
            found = _asked(node.frame, inner[at]) if at < len(inner) else None
            if found is None and isinstance(node.result, Value):
                found = _asked(frame, node.result)
        elif any(word in str(node.target) for word in _MAPS):
            return True
        elif str(node.target) in (
            "permute",
            "transpose",
            "reshape",
            "view",
            "flatten",
            "matmul",
            "linear",
            "movedim",
            "embedding",
        ):
            return False
        else:
            found = None
            if isinstance(node.result, Value) and node.result.ndim == value.ndim:
                found = _asked(frame, node.result)
        if found is not None:
            return found
    return None
