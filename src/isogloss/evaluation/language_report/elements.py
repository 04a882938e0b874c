"""HTML from Python values: whatever is not an element is text, and text is always escaped."""

from __future__ import annotations

import html

_EMPTY = frozenset({"br", "col", "input", "meta"})


class Html(str):
    """Markup that is already escaped; only `element` and `joined` make it."""

    __slots__ = ()


def element(name: str, /, *children: object, **attributes: str | int | bool | None) -> Html:
    """An element.

    Args:
        name: Its name.
        children: Elements, texts, or lists of them; texts are escaped, None is left out.
        attributes: By name; a trailing underscore is dropped and others become hyphens (`class_`, `aria_label`). True
            gives an attribute without value; False and None give none.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _EMPTY:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """Children one after the other."""
    return Html("".join(_child(child) for child in children))


def own_markup(text: str) -> Html:
    """Our own style sheet, which is not escaped.

    Raises:
        ValueError: If it could close the element that it stands in.
    """
    if "</" in text:
        raise ValueError("a style sheet must not close an element")
    return Html(text)


def _child(child: object) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return str(child)
    if isinstance(child, (list, tuple)):
        return "".join(_child(one) for one in child)
    return html.escape(_visible(str(child)))


def _attribute(key: str, value: str | int | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(_visible(str(value)), quote=True)}"'


def _visible(text: str) -> str:
    """The text with control characters, which HTML forbids, replaced."""
    return "".join(sign if sign in "\n\t" or (sign >= " " and not "\x7f" <= sign <= "\x9f") else "�" for sign in text)
