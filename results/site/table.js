// Sortable tables. A column has a title, a key, cell(row) for a node, and sorting(row) for a number or text.

/** A table in `box` that keeps its order when it is filled again. */
function sortable(box, caption) {
  const order = { key: null, descending: false };
  let columns = [];
  let rows = [];

  function fill(newColumns, newRows) {
    columns = newColumns;
    rows = newRows;
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    box.replaceChildren(rows.length ? build() : element("p", { class: "empty" }, "Nothing matches the filters."));
    if (focused) [...box.querySelectorAll("thead button")].find((b) => b.dataset.key === focused)?.focus();
  }

  function build() {
    const sorted = inOrder();
    const head = element("tr", {}, columns.map(header));
    const body = sorted.map((row, index) => {
      const fresh = order.key === null && index > 0 && settingKey(row) !== settingKey(sorted[index - 1]);
      return element("tr", { class: fresh ? "new" : null }, columns.map((column, place) => cell(column, row, place)));
    });
    return element(
      "table",
      {},
      element("caption", { class: "hidden" }, caption),
      element("thead", {}, head),
      element("tbody", {}, body),
    );
  }

  function header(column) {
    const sorted = order.key === column.key ? (order.descending ? "descending" : "ascending") : "none";
    const button = element("button", { type: "button", "data-key": column.key, click: () => sort(column) });
    button.append(column.title);
    return element("th", { scope: "col", class: kindOf(column), "aria-sort": sorted }, button);
  }

  function cell(column, row, place) {
    const attributes = { class: kindOf(column), title: column.kind?.includes("options") ? row.options || null : null };
    if (place === 0) attributes.scope = "row";
    return element(place === 0 ? "th" : "td", attributes, column.cell(row));
  }

  /** First the column's own direction, then the other, then the order of the data again. */
  function sort(column) {
    const first = Boolean(column.descending);
    if (order.key !== column.key) Object.assign(order, { key: column.key, descending: first });
    else if (order.descending === first) order.descending = !first;
    else order.key = null;
    fill(columns, rows);
  }

  function inOrder() {
    const column = columns.find((one) => one.key === order.key);
    if (!column) return rows;
    const sign = order.descending ? -1 : 1;
    return [...rows].sort((a, b) => {
      const [x, y] = [column.sorting(a), column.sorting(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (typeof x === "number" ? x - y : x.localeCompare(y, "en"));
    });
  }

  return fill;
}

const kindOf = (column) => (column.number ? "number" : (column.kind ?? null));

/** Columns that name a row; what is the same in all rows of the store is not repeated in each. */
function labelColumns(rows) {
  const names = [...SETTING, "options"].filter((name) => rows.some((row) => row[name] !== rows[0][name]));
  const labels = names.map((name) => ({
    key: name,
    title: name[0].toUpperCase() + name.slice(1),
    kind: name === "options" ? "label options" : "label",
    cell: (row) => (name === "options" ? row.options || "default" : title(row[name])),
    sorting: (row) => (name === "options" ? row.options : title(row[name])),
  }));
  const method = {
    key: "method",
    title: "Method",
    cell: (row) => [
      element("span", { class: "name" }, swatch(row.method), title(row.method)),
      element("span", { class: "where" }, whereOf(row, names)), // narrow screens
    ],
    sorting: (row) => title(row.method),
  };
  return [method, ...labels];
}

const whereOf = (row, names) => names.map((name) => title(row[name])).filter(Boolean).join(" · ");

/** What a metric is shown as: its value, or its gap to gold absolute or in gold's standard deviations. */
function shown(row, metric) {
  const found = metricOf(row, metric);
  if (!found) return null;
  if (state.numbers === "value") return found.summary?.mean ?? null;
  return state.numbers === "gap" ? (found.gap?.value ?? null) : (found.gap?.units ?? null);
}

/** A column of numbers that open their account. */
function metricColumn(column, below = null) {
  return {
    key: column.metric,
    title: column.title,
    number: true,
    descending: column.goal === "high",
    cell: (row) => [valueButton(row, column), below ? below(row) : null],
    sorting: (row) => {
      const value = shown(row, column.metric);
      return value !== null && state.numbers === "gap" ? Math.abs(value) : value;
    },
  };
}

function valueButton(row, column) {
  const value = shown(row, column.metric);
  const found = metricOf(row, column.metric);
  if (!found) return nothing(row, column);
  const mark = state.numbers === "value" ? (row.marks[column.metric] ?? "") : "";
  const spread = state.numbers === "value" ? spreadText(found.summary, column.form) : "";
  const open = () => openPanel(row, column.metric, column.title, column.form);
  return element(
    "button",
    { type: "button", class: `value ${mark}`.trim(), "data-metric": column.metric, click: open },
    element("span", { class: "mean" }, shownText(value, column.form)),
    spread ? element("span", { class: "spread" }, spread) : null,
    found.part ? element("span", { class: "spread" }, ` [${found.part.join("/")}]`) : null,
    mark ? element("span", { class: "hidden" }, ` (${mark})`) : null,
    row.contended && column.metric === data.names.speedup ? sharedSign() : null,
  );
}

/** The sign of a speed-up whose clocks shared their processors with others. */
const sharedSign = () => element("span", { class: "spread", title: "processors were shared while a clock ran" }, " ~");

/** A dash; for a speed-up it says why there is none. */
function nothing(row, column) {
  const why = column.metric === data.names.speedup ? row.without_speed_up : "";
  return element("span", { class: "spread", title: why || null }, "–");
}

/** The standard deviation over seeds within a request, and after a stroke that over requests. */
function spreadText(summary, form) {
  if (!summary || (summary.deviation === null && summary.between === null)) return "";
  const seeds = summary.deviation === null ? "–" : printed(summary.deviation, form);
  return ` ±${seeds}${summary.between === null ? "" : ` / ${printed(summary.between, form)}`}`;
}

function shownText(value, form) {
  if (value === null) return state.numbers === "units" ? "n/a" : "–";
  if (state.numbers === "units") return `${grouped(value)} σ`;
  return (state.numbers === "gap" && value > 0 ? "+" : "") + printed(value, form);
}
