"""Style sheet and script of an HTML report; neither may hold '</', '<' or '&', which end or change it inside a page."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1b1f23; --soft: #57606a; --line: #d0d7de; --head: #f3f5f7; --link: #0050a0; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14181d; --ink: #e4e8ec; --soft: #a3adb8; --line: #3a434d; --head: #20262d; --link: #8cc4ff; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 80rem; padding: 1rem; background: var(--page); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; border-bottom: 1px solid var(--line); margin-top: 2rem; overflow-wrap: anywhere; }
p, li { overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; list-style: none; padding: 0; }
a { color: var(--link); }
.headline { font-size: 1.1rem; }
.warning { border-left: 4px solid #d55e00; padding-left: 0.6rem; }
.box, pre { overflow-x: auto; max-width: 100%; border: 1px solid var(--line); border-radius: 4px; margin: 1rem 0; }
pre { padding: 0.6rem; font-size: 0.85rem; }
table { border-collapse: collapse; font-size: 0.9rem; min-width: 100%; }
caption { text-align: left; font-weight: 600; padding: 0.4rem 0.6rem; }
th, td { border-top: 1px solid var(--line); padding: 0.25rem 0.6rem; text-align: left; vertical-align: top; }
th { background: var(--head); padding: 0; }
th button { all: unset; cursor: pointer; padding: 0.25rem 0.6rem; font-weight: 600; white-space: nowrap; }
th button:focus-visible, .box:focus-visible, pre:focus-visible { outline: 2px solid var(--link); outline-offset: -2px; }
th[aria-sort="ascending"] button::after { content: " \\25b2"; }
th[aria-sort="descending"] button::after { content: " \\25bc"; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tfoot td { font-weight: 600; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 0 1 34rem; max-width: 100%; }
figure img { width: 100%; height: auto; background: #ffffff; border: 1px solid var(--line); border-radius: 4px; }
figcaption { color: var(--soft); font-size: 0.85rem; }
"""

SCRIPT = """
"use strict";
document.querySelectorAll("table").forEach(function (table) {
  const headings = Array.from(table.tHead.rows[0].cells);
  headings.forEach(function (heading, column) {
    heading.firstElementChild.addEventListener("click", function () {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach(function (other) { other.setAttribute("aria-sort", "none"); });
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = Array.from(body.rows);
      rows.sort(function (one, other) {
        const a = one.cells[column], b = other.cells[column];
        const byValue = a.dataset.value !== undefined ? Number(a.dataset.value) - Number(b.dataset.value) : NaN;
        const order = Number.isNaN(byValue) ? a.textContent.localeCompare(b.textContent) : byValue;
        return up ? order : -order;
      });
      rows.forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""
