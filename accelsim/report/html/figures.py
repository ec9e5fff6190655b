"""Matplotlib's SVG as part of a page: no styles, no ids of its own, and shared definitions (glyphs, hatches, clips) only once.

Disputable assumption: a definition may stand in another SVG element of the same document, which every browser since 2015 draws.
"""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.report.html.elements import Node, element

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_PIXELS_PER_POINT = 2.1  # 7 point type at a paper's column becomes 15 px, a page's
_DEFAULTS = {"stroke-linejoin": "round", "stroke-linecap": "butt"}  # what Matplotlib's style sheet gives to all elements
_ROUNDED = ("d", "x", "y", "width", "height", "points")  # in points or in a glyph's units: 0.01 cannot be seen
_DROPPED = ("metadata", "style", "title")


@dataclass(frozen=True)
class Drawings:
    """The figures of a page, by name, and the element with their definitions, which the page needs once, before them."""

    figures: Mapping[str, Node]
    definitions: Node


def drawings(pictures: Mapping[str, bytes]) -> Drawings:
    """`pictures`, SVG documents by name, as elements."""
    shared: dict[str, Node] = {}
    figures = {name: _figure(content, shared) for name, content in pictures.items()}
    holder = element("svg", element("defs", *shared.values()), class_="definitions", width=0, height=0, aria_hidden="true")
    return Drawings(figures, _with_defaults(holder))


def figure(drawing: Node, caption: str) -> Node:
    """A drawing with its caption."""
    drawing.set("aria-label", caption)
    return element("figure", drawing, element("figcaption", caption))


def beside(picture: Node | None, table: Node) -> Node:
    """A figure, if there is one, and the table with its numbers: side by side where the page is wide enough."""
    return table if picture is None else element("div", picture, table, class_="beside")


def _figure(content: bytes, shared: dict[str, Node]) -> Node:
    root = ET.fromstring(content)
    names: dict[str, str] = {}
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(_SVG) in _DROPPED:
                parent.remove(child)
            elif child.tag == f"{_SVG}defs":
                parent.remove(child)
                for item in child:
                    if "id" in item.attrib:
                        names |= _define(item, shared)
    _plain(root, names)
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    for name in ("version", "width", "height"):
        root.attrib.pop(name, None)
    root.set("width", f"{width * _PIXELS_PER_POINT:.0f}")
    root.set("height", f"{height * _PIXELS_PER_POINT:.0f}")
    root.set("role", "img")
    return _with_defaults(root)


def _define(item: Node, shared: dict[str, Node]) -> dict[str, str]:
    """Add a definition under a name made of its content; its old name -> its new one."""
    old = item.attrib.pop("id")
    _plain(item, {})
    new = f"f{hashlib.sha256(ET.tostring(item)).hexdigest()[:12]}"
    item.set("id", new)
    shared.setdefault(new, item)
    return {old: new}


def _plain(root: Node, names: Mapping[str, str]) -> None:
    """Without namespaces, ids and styles; what refers to a definition uses its new name."""
    for item in root.iter():
        item.tag = item.tag.removeprefix(_SVG)
        item.text = item.tail = None
        attributes = {name: text for name, text in item.attrib.items() if name not in ("id", "style", _HREF)}
        for rule in filter(None, item.get("style", "").split(";")):
            name, _, text = rule.partition(":")
            attributes[name.strip()] = text.strip()
        if _HREF in item.attrib:
            attributes["href"] = f"#{names[item.attrib[_HREF][1:]]}"
        item.attrib.clear()
        item.attrib.update({name: _attribute(name, text, names) for name, text in attributes.items()})


def _attribute(name: str, text: str, names: Mapping[str, str]) -> str:
    if name in _ROUNDED:
        short = re.sub(r"-?\d+\.\d+", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), text)
        return " ".join(short.split())
    return re.sub(r"url\(#([^)]+)\)", lambda link: f"url(#{names[link[1]]})", text)


def _with_defaults(root: Node) -> Node:
    for name, text in _DEFAULTS.items():
        root.set(name, text)
    return root
