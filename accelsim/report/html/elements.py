"""HTML as a tree of elements, in which all text is escaped by construction.

Every string that enters is cleaned of control and format characters first, so a layer's name can neither open a tag nor turn the
direction of the line. The tree is written in HTML's own syntax (void elements, no namespaces), which browsers of the last ten years read.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable
from typing import TypeAlias

from accelsim.report.tables.text import clean

Node: TypeAlias = ET.Element
Child: TypeAlias = Node | str


def element(tag: str, *children: Child, **attributes: str | int | bool | None) -> Node:
    """An element; `class_` and `data_key` are the attributes class and data-key; None and False leave one out, True is an empty one."""
    out = ET.Element(tag)
    for name, value in attributes.items():
        if value is not None and value is not False:
            out.set(name.rstrip("_").replace("_", "-"), "" if value is True else clean(str(value)))
    for child in children:
        add(out, child)
    return out


def add(parent: Node, child: Child) -> None:
    """Append an element or text."""
    if not isinstance(child, str):
        parent.append(child)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + clean(child)
    else:
        parent.text = (parent.text or "") + clean(child)


def lines(text: str) -> Node:
    """Text in which line ends count."""
    out = element("pre")
    out.text = "\n".join(clean(line) for line in text.splitlines())
    return out


def paragraph(text: str, class_: str | None = None) -> Node:
    return element("p", text, class_=class_)


def listing(items: Iterable[str], class_: str | None = None) -> Node:
    return element("ul", *(element("li", item) for item in items), class_=class_)


def folded(title: str, *children: Child) -> Node:
    """A collapsible part."""
    return element("details", element("summary", title), *children)


def verbatim(tag: str, text: str) -> Node:
    """Our own style or script, which HTML does not escape."""
    out = ET.Element(tag)
    out.text = text
    return out


def to_html(root: Node) -> str:
    """The document's text."""
    return f"<!DOCTYPE html>\n{ET.tostring(root, encoding='unicode', method='html')}\n"
