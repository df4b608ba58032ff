"""HTML elements, put together so that a text never becomes markup by accident."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Final

from pytest_fractal.report.overview import escape_control_chars

_VOID: Final = frozenset({"meta", "img", "input", "br", "wbr"})


class Markup(str):
    """Text that is markup already; every other text is escaped when it gets into an element."""


Content = str | None | Iterable["Content"]
"""What an element may hold: texts, elements, nothing, and any sequence of these."""


def element(tag: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """An element. `class_` is the attribute `class`, `data_copy` is `data-copy`.

    An attribute with False or None is left out, one with True has no value.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}"
        + ("" if value is True else f'="{html.escape(escape_control_chars(str(value)))}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    end = "" if tag in _VOID else f"{joined(*content)}</{tag}>"
    return Markup(f"<{tag}{written}>{end}")


def joined(*content: Content) -> Markup:
    """Contents one after the other."""
    return Markup("".join(map(_one, content)))


def _one(content: Content) -> str:
    if content is None:
        return ""
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return html.escape(escape_control_chars(content), quote=False)
    return joined(*content)
