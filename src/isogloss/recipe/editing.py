"""Changes values in the text of a YAML file and leaves everything else of it, comments included, as it was written."""

from __future__ import annotations

import json
from typing import Any

import yaml

from isogloss.errors import RecipeError

Path = tuple[str | int, ...]


def with_value(text: str, path: Path, value: Any) -> str:
    """The text with a value replaced, or added to the mapping that it belongs to.

    Args:
        text: YAML whose top is a mapping.
        path: Where, such as `("objective", 0, "weight")`.
        value: Text, number, truth value, or a list of these.

    Raises:
        RecipeError: If the path leads nowhere.
    """
    parent, key = _node(text, path[:-1]), path[-1]
    written = json.dumps(value, ensure_ascii=False)
    node = _child(parent, key)
    if node is not None:
        start, end = node.start_mark.index, node.end_mark.index
        return text[:start] + written + text[end:]
    if not isinstance(parent, yaml.MappingNode):
        raise RecipeError(f"'{key}' leads nowhere in the recipe")
    if parent.flow_style:
        end = parent.end_mark.index - 1
        return f"{text[:end]}, {key}: {written}{text[end:]}"
    start = parent.start_mark.index
    return f"{text[:start]}{key}: {written}\n{' ' * parent.start_mark.column}{text[start:]}"


def without(text: str, path: Path) -> str:
    """The text without an entry of a block mapping or sequence, and without the comment right above it.

    Raises:
        RecipeError: If the path leads nowhere.
    """
    parent = _node(text, path[:-1])
    node = _child(parent, path[-1])
    if node is None:
        raise RecipeError(f"'{path[-1]}' leads nowhere in the recipe")
    first = node.start_mark.line
    if isinstance(parent, yaml.MappingNode):
        first = next(key.start_mark.line for key, value in parent.value if value is node)
    lines = text.splitlines(keepends=True)
    # A block ends where the next token begins, anything else in its own last line.
    last = node.end_mark.line + (getattr(node, "flow_style", None) is not False)
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return "".join(lines[:first] + lines[last:])


def _node(text: str, path: Path) -> yaml.Node:
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    for part in path:
        node = _child(node, part)
        if node is None:
            raise RecipeError(f"'{part}' leads nowhere in the recipe")
    if node is None:
        raise RecipeError("The recipe is empty")
    return node


def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        return node.value[key] if key < len(node.value) else None
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None
