"""The HTML page around Bokeh's figures: its library inside, scripts admitted by their hash, colours of light and dark screens.

Disputable assumption: figures get their colours when the page is opened; a screen that turns dark later needs a reload.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import ConfigError
from accelsim.report.html.elements import element, paragraph, to_html, verbatim
from accelsim.report.html.head import head_of
from accelsim.report.tables.text import clean

if TYPE_CHECKING:
    from bokeh.plotting import figure

# Each stands in a figure for a colour that the script replaces on a dark screen. No colour of a series is one of them.
INK, QUIET, LINE = "#1c2126", "#5a6570", "#dde2e7"
_DARK: Mapping[str, str] = {INK: "#e4e8ec", QUIET: "#9aa6b2", LINE: "#323a43"}
_STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c2126; --quiet: #5a6570; }
@media (prefers-color-scheme: dark) { :root { --ground: #1a1e23; --ink: #e4e8ec; --quiet: #9aa6b2; } }
body { margin: 0 auto; max-width: 80rem; padding: 1rem 1.25rem; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.4rem; line-height: 1.25; margin: 0 0 0.4rem; overflow-wrap: anywhere; }
p { color: var(--quiet); margin: 0 0 0.7rem; max-width: 60rem; overflow-wrap: anywhere; }
#plots { overflow: hidden; }
"""
_SCRIPT = """
"use strict";
(() => {
  let text = document.getElementById("figures").textContent;
  if (matchMedia("(prefers-color-scheme: dark)").matches) {
    const colors = JSON.parse(document.getElementById("dark").textContent);
    for (const [light, dark] of Object.entries(colors)) text = text.replaceAll(light, dark);
  }
  for (const item of JSON.parse(text)) Bokeh.embed.embed_item(item, item.target_id);
})();
"""


def check_interactive() -> None:
    """ConfigError if Bokeh is not installed."""
    if find_spec("bokeh") is None:
        raise ConfigError("interactive pages need Bokeh, which is not installed; to get it: pip install 'accelsim[interactive]'")


def new_figure(x_label: str, y_label: str, height: int = 420, **options: Any) -> figure:
    """An empty figure as wide as the page, with the page's colours: pan, zoom, selection, reset, save."""
    from bokeh.models import InlineStyleSheet
    from bokeh.plotting import figure

    out = figure(
        x_axis_label=x_label,
        y_axis_label=y_label,
        height=height,
        sizing_mode="stretch_width",
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=LINE,
        **{"tools": "pan,wheel_zoom,box_zoom,box_select,tap,reset,save", "active_drag": "box_zoom", **options},
    )
    out.toolbar.stylesheets = [InlineStyleSheet(css="@media print { :host { display: none; } }")]  # no tools on paper
    for axis in out.axis:
        axis.axis_label_text_color = axis.major_label_text_color = INK
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = QUIET
        axis.axis_label_text_font_style = "normal"
    for grid in out.grid:
        grid.grid_line_color = LINE
    return out


def dress_legend(plot: figure, title: str = "") -> None:
    """The legend above the plot, with the page's colours; a click on an entry hides what it names, `title` says what tells them apart."""
    legend = plot.legend[0]
    plot.add_layout(legend, "above")
    legend.location = "top_left"
    legend.padding = legend.margin = legend.spacing = 2
    legend.click_policy = "hide"
    legend.background_fill_alpha = 0
    legend.border_line_alpha = 0
    legend.label_text_color = legend.title_text_color = INK
    legend.title = clean(title) or None


def interactive_page(title: str, sentences: Sequence[str], root: Any) -> bytes:
    """A page of one Bokeh layout: the document as UTF-8. Equal figures give equal bytes but for Bokeh's own numbers of objects."""
    import bokeh
    from bokeh.embed import json_item

    library = Path(bokeh.__file__).with_name("server").joinpath("static", "js", "bokeh.min.js").read_text(encoding="utf-8")
    head = head_of(title, _STYLE, [library, _SCRIPT], styles="'unsafe-inline'", images="data:")
    items = [json_item(root, "plots")]
    body = element(
        "body",
        element("h1", title),
        *(paragraph(text) for text in sentences),
        element("div", id="plots"),
        _data("figures", items),
        _data("dark", _DARK),
        verbatim("script", library),
        verbatim("script", _SCRIPT),
    )
    return to_html(element("html", head, body, lang="en")).encode()


def _data(key: str, value: Any) -> Any:
    """JSON inside a script element that does not run; '<' is escaped, so that no text in it ends the element."""
    out = verbatim("script", json.dumps(value).replace("<", "\\u003c"))
    out.set("type", "application/json")
    out.set("id", key)
    return out
