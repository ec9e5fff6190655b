"use strict";
// Tables that sort: by number where cells carry a key, else by text; a third press restores the order of the report.
// The address keeps the last sorting (#sort=TABLE,COLUMN,DIRECTION), so a link shows what its sender saw.
(() => {
  const original = new WeakMap();
  const collator = new Intl.Collator("en", { numeric: true });

  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent : Number(cell.dataset.key);
  };

  // Nothing stands last in either direction.
  const order = (a, b, sign) => {
    if (a === b) return 0;
    if (a === "" || b === "") return a === "" ? 1 : -1;
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b)));
  };

  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    if (!original.has(table)) original.set(table, [...body.rows]);
    const rows = [...original.get(table)];
    const sign = direction === "descending" ? -1 : 1;
    if (direction !== "none") rows.sort((one, other) => order(key(one, column), key(other, column), sign));
    body.replaceChildren(...rows);
    [...table.tHead.rows[0].cells].forEach((cell, index) => {
      if (cell.hasAttribute("aria-sort")) cell.setAttribute("aria-sort", index === column ? direction : "none");
    });
  };

  const follow = () => {
    const [, name, column, direction] = /^#sort=([\w-]+),(\d+),(ascending|descending)$/.exec(location.hash) || [];
    const table = name && document.getElementById(name);
    const heading = table && table.tHead && table.tHead.rows[0].cells[Number(column)];
    if (!heading || !heading.hasAttribute("aria-sort")) return;
    sort(table, Number(column), direction);
    for (let box = table.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    table.scrollIntoView();
  };

  document.addEventListener("click", (event) => {
    const heading = event.target.closest("th[aria-sort]");
    if (!heading || !event.target.closest("button")) return;
    const table = heading.closest("table");
    const turns = heading.classList.contains("number") ? ["none", "descending", "ascending"] : ["none", "ascending", "descending"];
    const direction = turns[(turns.indexOf(heading.getAttribute("aria-sort")) + 1) % turns.length];
    sort(table, heading.cellIndex, direction);
    history.replaceState(null, "", direction === "none" ? "#" : `#sort=${table.id},${heading.cellIndex},${direction}`);
  });
  addEventListener("hashchange", follow);
  follow();
})();
