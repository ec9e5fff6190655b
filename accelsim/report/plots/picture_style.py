"""How pictures are made for their place: the width, the size of the type, with a title or without, and the kinds of files.

    PictureStyle.parse("slides:width=200,font=16,title=off,files=pdf+svg")

A picture is laid out with type of `LAYOUT_FONT` points and enlarged as a whole, so lines and gaps grow with the letters.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from accelsim.errors import ConfigError, OutputError
from accelsim.registry import suggest

LAYOUT_FONT = 7.0  # points
ENDINGS = ("svg", "png", "pdf", "pgf")
LEAST_LAYOUT_MM, MOST_LAYOUT_MM = 84.0, 200.0  # of a layout: in narrower ones texts overlap, wider ones have only gaps
LATEX = "pdflatex"
_TITLE = {"on": True, "off": False}


@dataclass(frozen=True)
class PictureStyle:
    """A way to make pictures.

    Attributes
    ----------
    width_mm : of the file
    font_size : of its labels, in points
    titled : whether the title stands above
    endings : of the files, of `ENDINGS`
    """

    width_mm: float
    font_size: float
    titled: bool
    endings: tuple[str, ...] = ("svg", "png")

    @property
    def scale(self) -> float:
        """Size of the file over that of the layout."""
        return self.font_size / LAYOUT_FONT

    @property
    def layout_mm(self) -> float:
        """Width of the layout."""
        return self.width_mm / self.scale

    @staticmethod
    def parse(text: str) -> PictureStyle:
        """A style from 'NAME' or 'NAME:key=value,...'.

        Raises
        ------
        ConfigError
            An unknown name, key or value, or type too large or too small for the width.
        OutputError
            As `check_latex`.
        """
        name, _, rest = text.partition(":")
        if name not in STYLES:
            raise ConfigError(f"style {text!r}: unknown style {name!r}{suggest(name, STYLES)}; allowed: {', '.join(STYLES)}")
        style = STYLES[name]
        for item in filter(None, rest.split(",")):
            key, _, value = item.partition("=")
            if key not in _KEYS:
                raise ConfigError(f"style {text!r}: unknown key {key!r}{suggest(key, _KEYS)}; allowed: {', '.join(_KEYS)}")
            style = _KEYS[key](style, f"style {text!r}: {key}={value}", value)
        if not LEAST_LAYOUT_MM <= style.layout_mm <= MOST_LAYOUT_MM:
            least, most = (f"{limit * style.scale:.0f}" for limit in (LEAST_LAYOUT_MM, MOST_LAYOUT_MM))
            raise ConfigError(
                f"style {text!r}: {style.width_mm:g} mm with type of {style.font_size:g} points; allowed: a width from {least} to {most} mm"
            )
        if "pgf" in style.endings:
            check_latex()
        return style


def check_latex() -> None:
    """OutputError without LaTeX, which measures the text of a PGF."""
    if shutil.which(LATEX) is None:
        raise OutputError(f"a .pgf picture needs {LATEX}, which measures its text, and it is not on PATH; allowed without: svg, png, pdf")


STYLES: Mapping[str, PictureStyle] = {
    "paper": PictureStyle(85, LAYOUT_FONT, titled=True),
    "slides": PictureStyle(240, 16, titled=True),
    "page": PictureStyle(160, 10, titled=False),
}
PAPER = STYLES["paper"]


def _number(where: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not least <= value <= most:
        raise ConfigError(f"{where}; allowed: a number from {least:g} to {most:g}")
    return value


def _width(style: PictureStyle, where: str, text: str) -> PictureStyle:
    return replace(style, width_mm=_number(where, text.removesuffix("mm"), 30, 1000))


def _font(style: PictureStyle, where: str, text: str) -> PictureStyle:
    return replace(style, font_size=_number(where, text.removesuffix("pt"), 4, 72))


def _title(style: PictureStyle, where: str, text: str) -> PictureStyle:
    if text not in _TITLE:
        raise ConfigError(f"{where}; allowed: {', '.join(_TITLE)}")
    return replace(style, titled=_TITLE[text])


def _files(style: PictureStyle, where: str, text: str) -> PictureStyle:
    wanted = tuple(dict.fromkeys(text.split("+")))
    strange = [item for item in wanted if item not in ENDINGS]
    if strange:
        raise ConfigError(f"{where}: {strange[0]!r}; allowed: {', '.join(ENDINGS)}, joined by '+'")
    return replace(style, endings=wanted)


_KEYS: Mapping[str, Callable[[PictureStyle, str, str], PictureStyle]] = {"width": _width, "font": _font, "title": _title, "files": _files}
