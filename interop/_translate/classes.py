"""One class for the instances of each of torch's classes: what differs between them becomes its arguments."""

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from typing import Any

from .class_names import name_classes
from .code import Expression, copied, name, names
from .construction import Construction, repeated
from .emitting import Body
from .folded import folded_weights
from .instances import Instance, Network

# How many arguments are given without their names.
_POSITIONAL = 2


@dataclasses.dataclass(eq=False)
class Class:
    """A class to write.

    Attributes:
      name: what it is called.
      instances: the modules that become its objects.
      arguments: what its `__init__` takes, with the values of each for each instance.
      attributes: what `__init__` sets.
      items: for a Sequential, what it holds.
      body: what its method does.
      kept: the arguments that the method needs too.
      links: the places of modules that stand at several, each with the first.
    """

    name: str
    instances: list[Instance]
    arguments: dict[str, tuple[Any, ...]]
    attributes: list[tuple[str, Expression]]
    items: list[Expression] | None
    body: Body
    kept: list[str]
    links: list[tuple[Expression, Expression]]

    @property
    def torch_layouts(self) -> dict[str, str]:
        """How the arrays of its own that have several axes are laid out: as in torch."""
        module = self.instances[0].module
        arrays = {**module._parameters, **module._buffers, **folded_weights(module)}
        own = {word: arrays[word].ndim for word, _ in self.attributes if arrays.get(word) is not None}
        axes = {word: " ".join("abcdefgh"[:ndim]) for word, ndim in own.items() if ndim > 1}
        return {word: f"{letters} -> {letters}" for word, letters in axes.items()}

    @property
    def takes_rngs(self) -> bool:
        """Whether anything in it needs random numbers."""
        trees = [tree for _, tree in self.attributes] + (self.items or [])
        return any("rngs" in names(tree) for tree in trees)


def find_classes(network: Network) -> list[Class]:
    """The classes of a network, those first that others use."""
    construction = Construction(network)
    drafts: dict[int, _Draft] = {}
    pending = list(network.instances.values())
    while pending:
        for instance in pending:
            drafts[id(instance.module)] = _Draft(instance, construction)
        known = {id(draft.instance.module) for draft in drafts.values()}
        pending = [one for key, one in network.instances.items() if key not in known]
    found: list[Class] = []
    made: dict[int, tuple[Class, int]] = {}
    while len(made) < len(drafts):
        level = [d for key, d in drafts.items() if key not in made and all(part in made for part in d.parts)]
        groups: dict[Any, list[_Draft]] = {}
        # What is never called is of the class of what is made alike and called, if there is such a thing.
        for draft in sorted(level, key=lambda draft: draft.instance.body.orders is None):
            draft.resolve(made)
            key = draft.masked()
            if draft.instance.body.orders is None:
                key = next((other for other in groups if other[:2] == key[:2]), key)
                draft.body = groups[key][0].body if key in groups else draft.body
            groups.setdefault(key, []).append(draft)
        for group in groups.values():
            one = _unified(sorted(group, key=lambda draft: draft.instance.body.orders is None))
            found.append(one)
            made |= {id(instance.module): (one, n) for n, instance in enumerate(one.instances)}
    name_classes(found)
    return found


class _Draft:
    """An instance's code, with constants that may turn out to be arguments."""

    def __init__(self, instance: Instance, construction: Construction) -> None:
        self.instance = instance
        self.is_sequential = id(instance.module) in construction.network.items
        self.items = construction.items(instance) if self.is_sequential else None
        self.attributes = [] if self.is_sequential else construction.attributes(instance)
        self.links = construction.links(instance)
        self.body = instance.body

    @property
    def parts(self) -> list[int]:
        """The numbers of the instances that this one holds."""
        words = [word for tree in self.made() for word in names(tree) if word.startswith("@")]
        return [int(word[1:]) for word in words]

    def made(self) -> list[Expression]:
        """What `__init__` makes."""
        return self.items if self.items is not None else [tree for _, tree in self.attributes]

    def trees(self) -> list[Any]:
        """All its code: what is made, then what is done."""
        return [*self.made(), *(line.expression for line in self.body.lines), self.body.result]

    def resolve(self, made: dict[int, tuple[Class, int]]) -> None:
        """Writes the calls of classes that are known by now."""
        resolved = [_resolved(tree, made) for tree in self.made()]
        if self.items is not None:
            self.items = resolved
        else:
            self.attributes = [(word, tree) for (word, _), tree in zip(self.attributes, resolved, strict=True)]

    def constants(self) -> list[ast.Constant]:
        """The constants in which instances of one class may differ, in the order in which they stand in the code."""
        return [node for tree in self.trees() for node in _walk(tree) if _may_differ(node)]

    def masked(self) -> tuple[Any, str, str]:
        """Torch's class, and without these constants what is made and what is done."""
        made = [dump(tree) for tree in self.made()]
        links = [ast.dump(end) for link in self.links for end in link]
        lines = [
            (line.targets, line.several, line.comment, line.loop, dump(line.expression)) for line in self.body.lines
        ]
        words = [word for word, _ in self.attributes]
        done = (self.body.arguments, lines, dump(self.body.result))
        return type(self.instance.module), repr((words, made, links)), repr(done)


def _walk(tree: Any) -> Iterator[Any]:
    """The nodes of a tree in the order of the source."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        yield from _walk(child)


def _may_differ(node: Any) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float | tuple)


def dump(tree: Any) -> str:
    """A tree as text in which constants that may differ are alike."""
    tree = copied(tree)
    found: list[Any] = [node for node in ast.walk(tree) if _may_differ(node)]
    for node in found:
        node.value = 0
    return ast.dump(tree)


def _resolved(tree: Any, made: dict[int, tuple[Class, int]]) -> Any:
    class Resolving(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            if not isinstance(node.func, ast.Name) or not node.func.id.startswith("@"):
                return self.generic_visit(node)
            cls, n = made[int(node.func.id[1:])]
            given = []
            for word, values in cls.arguments.items():
                constant = ast.Constant(values[n])
                constant.role = word  # type: ignore[attr-defined]
                given.append(ast.keyword(word, constant))
            args: list[Expression] = [argument.value for argument in given[:_POSITIONAL]]
            keywords = given[_POSITIONAL:]
            if cls.takes_rngs:
                keywords.append(ast.keyword("rngs", name("rngs")))
            found = ast.Call(ast.Name(f"@{id(cls)}", ast.Load()), args, keywords)
            found.func.cls = cls  # type: ignore[attr-defined]
            return found

    return Resolving().visit(tree)


def _unified(group: list[_Draft]) -> Class:
    """One class for instances whose code is the same but for constants."""
    first = group[0]
    columns = list(zip(*(draft.constants() for draft in group), strict=True))
    made_count = sum(1 for tree in first.made() for node in _walk(tree) if _may_differ(node))
    arguments: dict[str, tuple[Any, ...]] = {}
    kept: list[str] = []
    for at, column in enumerate(columns):
        values = tuple(node.value for node in column)
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            continue
        word = next((word for word, known in arguments.items() if known == values), None)
        if word is None:
            word = _argument_name(group, column, values, arguments, first)
            arguments[word] = values
        in_method = at >= made_count
        if in_method and word not in kept:
            kept.append(word)
        column[0].argument = f"self.{word}" if in_method else word
    attributes = [(word, _with_repeats(_with_arguments(tree))) for word, tree in first.attributes]
    items = None if first.items is None else [_with_arguments(tree) for tree in first.items]
    lines = [dataclasses.replace(line, expression=_with_arguments(line.expression)) for line in first.body.lines]
    body = dataclasses.replace(first.body, lines=lines, result=_with_arguments(first.body.result))
    return Class("", [draft.instance for draft in group], arguments, attributes, items, body, kept, first.links)


def _with_arguments(tree: Any) -> Any:
    class Replacing(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return name(node.argument) if hasattr(node, "argument") else node

    return Replacing().visit(tree)


def _with_repeats(tree: Any) -> Any:
    """The code with lists of equal items as comprehensions."""

    class Repeating(ast.NodeTransformer):
        def visit_List(self, node: ast.List) -> ast.AST:
            self.generic_visit(node)
            return repeated(node.elts)

    return Repeating().visit(tree)


def _argument_name(group: list[_Draft], column: Any, values: Any, taken: Any, first: _Draft) -> str:
    """A name for what differs: torch's own, if the modules have an attribute with these values, or Flax's."""
    modules = [draft.instance.module for draft in group]
    parameters = list(inspect.signature(type(modules[0]).__init__).parameters)[1:]
    for word in (*parameters, *vars(modules[0])):
        if word in taken or word.startswith("_") or not word.isidentifier():
            continue
        if all(_same_value(getattr(one, word, None), value) for one, value in zip(modules, values, strict=True)):
            return word
    role = getattr(column[0], "role", "") or "size"
    if role not in taken:
        return role
    prefix = next((word for word, tree in first.attributes if any(node is column[0] for node in ast.walk(tree))), "")
    found = f"{prefix}_{role}" if prefix and not prefix.isdigit() else role
    n = 2
    while found in taken:
        found = f"{prefix or role}_{role}{n}" if prefix else f"{role}{n}"
        n += 1
    return found


def _same_value(have: Any, want: Any) -> bool:
    if isinstance(have, list):
        have = tuple(have)
    return type(have) is type(want) and have == want
