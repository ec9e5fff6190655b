"""A self-contained HTML page as a tree of elements: text is escaped because it is text, and nothing is fetched from anywhere.

Disputable assumption: pictures are SVG data in `img` elements, on white in both colour schemes; their ids cannot clash, but their
text cannot be selected.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from accelsim.report.html_assets import SCRIPT, STYLE
from accelsim.report.text import clean


@dataclass(frozen=True)
class Cell:
    """What a table shows, and the figure by which its column sorts (None: by the text)."""

    text: str
    value: float | None = None


Section = tuple[str, Sequence[Element]]


def paragraph(text: str, kind: str = "") -> Element:
    """A paragraph of plain text; `kind` is a class of the style sheet."""
    out = Element("p", {"class": kind} if kind else {})
    out.text = clean(text)
    return out


def preformatted(text: str) -> Element:
    """Lines as they are."""
    out = Element("pre", {"tabindex": "0"})
    out.text = "\n".join(clean(line) for line in text.splitlines())
    return out


def figure(svg: bytes, caption: str) -> Element:
    """A picture with its caption, which is also what a screen reader says."""
    out = Element("figure")
    SubElement(out, "img", {"src": f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}", "alt": clean(caption)})
    SubElement(out, "figcaption").text = clean(caption)
    return out


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[Cell]], totals: Iterable[Sequence[Cell]] = ()) -> Element:
    """A table in a box of its own that scrolls; its headings are buttons that sort, the totals stay below."""
    box = Element("div", {"class": "box", "tabindex": "0", "role": "region", "aria-label": clean(caption)})
    out = SubElement(box, "table")
    SubElement(out, "caption").text = clean(caption)
    head = SubElement(SubElement(out, "thead"), "tr")
    for heading in headings:
        button = SubElement(SubElement(head, "th", {"scope": "col", "aria-sort": "none"}), "button", {"type": "button"})
        button.text = clean(heading)
    for part, lines in (("tbody", rows), ("tfoot", totals)):
        body = SubElement(out, part)
        for line in lines:
            cells = SubElement(body, "tr")
            for cell in line:
                attributes = {} if cell.value is None else {"data-value": repr(cell.value), "class": "number"}
                SubElement(cells, "td", attributes).text = clean(cell.text)
    return box


def page(title: str, sections: Sequence[Section]) -> str:
    """The whole document; its content security policy allows its own style and script, pictures in it, and no connection."""
    html = Element("html", {"lang": "en"})
    head, body = SubElement(html, "head"), SubElement(html, "body")
    SubElement(head, "meta", {"charset": "utf-8"})
    policy = f"default-src 'none'; img-src data:; style-src '{_digest(STYLE)}'; script-src '{_digest(SCRIPT)}'"
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": f"{policy}; base-uri 'none'; form-action 'none'"})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "meta", {"name": "color-scheme", "content": "light dark"})
    SubElement(head, "title").text = clean(title)
    SubElement(head, "style").text = STYLE
    SubElement(SubElement(body, "header"), "h1").text = clean(title)
    contents = SubElement(SubElement(body, "nav", {"aria-label": "Contents"}), "ul")
    main = SubElement(body, "main")
    for number, (heading, elements) in enumerate(sections):
        link = SubElement(SubElement(contents, "li"), "a", {"href": f"#section-{number}"})
        section = SubElement(main, "section", {"id": f"section-{number}"})
        link.text = clean(heading)
        SubElement(section, "h2").text = clean(heading)
        section.extend(elements)
    SubElement(body, "script").text = SCRIPT
    return f"<!DOCTYPE html>\n{tostring(html, encoding='unicode', method='html')}\n"


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"
