"""Tables of fields: what a dataclass or a pydantic model says of each, with the words of its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin

import griffe
from pydantic import BaseModel
from pydantic.fields import FieldInfo


@dataclasses.dataclass(frozen=True)
class Documented:
    """One field.

    Attributes:
        name: Its name.
        values: What it takes, in words.
        default: What holds where it is left out; empty where it must be given.
        meaning: The words of the docstring; empty where it has none.
    """

    name: str
    values: str
    default: str
    meaning: str


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join("| " + " | ".join(_cell(text) for text in line) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return re.sub(r"\s*\n\s*", " ", text).replace("|", "\\|")


def field_table(cls: type[Any], *, left_out: Sequence[str] = ()) -> str:
    """The fields of a dataclass or a pydantic model as a table."""
    rows = [
        (f"`{field.name}`", field.values, f"`{field.default}`" if field.default else "required", field.meaning)
        for field in documented(cls)
        if field.name not in left_out
    ]
    return table(("field", "values", "default", "meaning"), rows)


def documented(cls: type[Any]) -> list[Documented]:
    """The fields of a dataclass or a pydantic model."""
    meanings = attribute_meanings(cls)
    return [Documented(name, values, default, meanings.get(name, "")) for name, values, default in _plain_fields(cls)]


def first_words(documented_thing: Any) -> str:
    """The docstring of a class or module without its sections."""
    sections = griffe.Docstring(inspect.getdoc(documented_thing) or "").parse("google", warnings=False)
    return "\n\n".join(str(section.value) for section in sections if section.kind is griffe.DocstringSectionKind.text)


def attribute_meanings(cls: type[Any]) -> Mapping[str, str]:
    """Attribute to its words in the docstring, or in that of the class it comes from."""
    kind = griffe.DocstringSectionKind.attributes
    meanings: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        if not one.__module__.startswith("isogloss"):
            continue
        sections = griffe.Docstring(inspect.cleandoc(one.__doc__ or "")).parse("google", warnings=False)
        meanings |= {
            found.name: found.description for section in sections if section.kind is kind for found in section.value
        }
    return meanings


def _plain_fields(cls: type[Any]) -> Iterator[tuple[str, str, str]]:
    if issubclass(cls, BaseModel):
        for name, info in cls.model_fields.items():
            yield name, _described(info.annotation) + _bounds(info), _pydantic_default(info)
        return
    annotations = inspect.get_annotations(cls, eval_str=True)
    for field in dataclasses.fields(cls):
        yield field.name, _described(annotations[field.name]), _dataclass_default(field)


def _pydantic_default(info: FieldInfo) -> str:
    return "" if info.is_required() else _shown(info.get_default(call_default_factory=True, validated_data={}))


def _dataclass_default(field: dataclasses.Field[Any]) -> str:
    if field.default is not dataclasses.MISSING:
        return _shown(field.default)
    return "" if field.default_factory is dataclasses.MISSING else _shown(field.default_factory())


def _shown(value: Any) -> str:
    """A default as a recipe would write it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(one) for one in value) + "]"
    return "{}" if value == {} else str(value)


_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "none"}


def _described(annotation: Any) -> str:
    """What values an annotation allows, in words."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (list, tuple, Sequence):
        return "list of " + " or ".join(dict.fromkeys(_described(one) for one in inner if one is not Ellipsis))
    if origin in (dict, Mapping):
        return f"{_described(inner[1])} by name"
    if inner and origin is not None and (str(origin).endswith("Annotated'>") or hasattr(annotation, "__metadata__")):
        return _described(inner[0])
    if inner:
        return " or ".join(dict.fromkeys(_described(one) for one in inner))
    return "section" if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else str(annotation)


_SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def _bounds(info: FieldInfo) -> str:
    found = [
        f"{sign} {getattr(bound, name)}"
        for bound in info.metadata
        for name, sign in _SIGNS.items()
        if getattr(bound, name, None) is not None
    ]
    return f" ({', '.join(found)})" if found else ""
