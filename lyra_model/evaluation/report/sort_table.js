// A heading of a sortable table becomes a button that sorts by its column: rising, then falling.
// Cells without a value stay last either way.

function sortRows(table, column, direction) {
  const body = table.tBodies[0];
  const valueOf = (row) => row.cells[column].dataset.value;
  const rows = [...body.rows];
  const isNumber = rows.every((row) => valueOf(row) === "" || !Number.isNaN(Number(valueOf(row))));
  const compare = isNumber
    ? (a, b) => Number(a) - Number(b)
    : (a, b) => (a < b ? -1 : Number(a > b));
  rows.sort((first, second) => {
    const [a, b] = [valueOf(first), valueOf(second)];
    if (a === "" || b === "") return Number(a === "") - Number(b === "");
    return direction * compare(a, b);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  for (const heading of headings.filter((cell) => cell.hasAttribute("aria-sort"))) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.ariaSort === "ascending" ? -1 : 1;
      for (const other of headings) if (other.hasAttribute("aria-sort")) other.ariaSort = "none";
      heading.ariaSort = direction > 0 ? "ascending" : "descending";
      sortRows(table, headings.indexOf(heading), direction);
    });
  }
}
