"use strict";
// Sorts tables by a click on a column's head, shows the rows of some methods only, and copies commands. Without it the page is whole.
const number = (cell) => {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const found = cell.textContent.replace(/[−–]/g, "-").match(/^\s*[<p= ]*([+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?)/i);
  return found ? Number(found[1].replace(/,/g, "")) : NaN;
};

const compare = (index, numeric) => (a, b) => {
  const [x, y] = [a.cells[index], b.cells[index]];
  if (!numeric) return x.textContent.localeCompare(y.textContent, undefined, { numeric: true });
  return number(x) - number(y);
};

function sort(table, head) {
  const index = head.cellIndex;
  const numeric = !head.classList.contains("name");
  const descending = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
  const rows = [...table.tBodies[0].rows];
  const known = rows.filter((row) => !row.classList.contains("reference") && (!numeric || !Number.isNaN(number(row.cells[index]))));
  const rest = rows.filter((row) => !known.includes(row)); // what has no number, and the lines to compare with, stay last
  known.sort(compare(index, numeric));
  if (descending) known.reverse();
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...known, ...rest);
}

for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  for (const head of table.tHead.rows[0].cells) {
    const button = document.createElement("button");
    button.type = "button";
    button.title = "sort by this column";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head));
    head.append(button);
  }
}

// A click on a number copies the command that shows its runs; the sign beside a method, the command that trains it.
const runs = JSON.parse(document.querySelector("#runs").textContent);
const told = document.querySelector("#copied");

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  told.textContent = `copied: ${text.split("\n")[0]}${text.includes("\n") ? " ..." : ""}`;
  clearTimeout(copy.timer);
  copy.timer = setTimeout(() => { told.textContent = ""; }, 4000);
}

for (const head of document.querySelectorAll("tbody th.method")) {
  const known = (runs[head.closest("[data-part]").dataset.part] ?? {})[head.textContent];
  if (!known) continue;
  for (const cell of head.parentElement.querySelectorAll("td:not(:empty)")) {
    cell.dataset.copy = "";
    cell.title = "copy the command that shows these runs";
    cell.addEventListener("click", () => copy(known.show));
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.title = "copy the command that trains this method";
  button.ariaLabel = button.title;
  button.dataset.sign = "⧉";
  button.addEventListener("click", () => copy(known.run));
  head.append(button);
}

for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", () => { const target = document.querySelector(link.hash); if (target.open === false) target.open = true; });
}

const form = document.querySelector("nav form");
const named = [
  ...[...document.querySelectorAll("tbody th.method")].map((cell) => [cell.closest("tr"), cell.textContent]),
  ...[...document.querySelectorAll("li[data-method]")].map((item) => [item, item.dataset.method]),
].map(([element, names]) => [element, names.toLowerCase().split(", ")]); // a sentence may be about several

function filter() {
  const words = form.querySelector("input").value.toLowerCase().split(/[\s,]+/).filter(Boolean);
  const shown = new Set();
  const all = new Set();
  for (const [element, names] of named) {
    const found = names.filter((name) => words.every((word) => name.includes(word)));
    element.hidden = !found.length;
    names.forEach((name) => all.add(name));
    found.forEach((name) => shown.add(name));
  }
  form.querySelector("output").textContent = words.length ? `${shown.size} of ${all.size}` : "";
}

form.hidden = !named.length;
form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
