// What every part uses: the data, the filters, making elements, printing numbers.
const data = JSON.parse(document.getElementById("data").textContent);
const SETTING = ["dataset", "backbone", "regime"];
const state = { filters: {}, hidden: new Set(), search: "", numbers: "value" };
const listeners = [];

/** Call `draw` now and after every change of the filters. */
function follow(draw) {
  listeners.push(draw);
  draw();
}

/** Change the state and draw everything again. */
function change(changes) {
  Object.assign(state, changes);
  listeners.forEach((draw) => draw());
}

/** An element with attributes (functions are listeners, null is left out) and children; texts stay texts. */
function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const title = (name) => (Object.hasOwn(data.titles, name) ? data.titles[name] : name);
const settingOf = (row) => SETTING.map((label) => title(row[label])).join(" · ");
const settingKey = (row) => JSON.stringify(SETTING.map((label) => row[label]));
const nameOf = (row) => (row.options ? `${title(row.method)} (${row.options})` : title(row.method));
const metricOf = (row, metric) => (Object.hasOwn(row.metrics, metric) ? row.metrics[metric] : null);
const summaryOf = (row, metric) => metricOf(row, metric)?.summary ?? null;

/** The rows that the filters let through, in their order. */
function visible() {
  const words = state.search.toLowerCase().split(/\s+/).filter(Boolean);
  return data.rows.filter((row) => {
    if (state.hidden.has(row.method)) return false;
    if (SETTING.some((label) => state.filters[label] && state.filters[label] !== row[label])) return false;
    if (state.filters.options === "defaults" && row.options) return false;
    if (state.filters.options === "variants" && !row.options) return false;
    const text = [...SETTING, "method", "options"].map((l) => `${row[l]} ${title(row[l])}`).join(" ");
    return words.every((word) => text.toLowerCase().includes(word));
  });
}

/** Gold of the setting of a row, whether it is shown or not. */
function goldOf(row) {
  const golds = data.rows.filter((one) => one.method === data.gold && settingKey(one) === settingKey(row));
  return golds.find((one) => !one.options) ?? golds[0] ?? null;
}

/** Rows by setting. */
function settings(rows) {
  const found = new Map();
  for (const row of rows) {
    const key = settingKey(row);
    found.set(key, [...(found.get(key) ?? []), row]);
  }
  return [...found.values()];
}

/** A number as it is printed; `form` is times, seconds or "". */
function printed(value, form = "") {
  if (value === null || value === undefined) return "–";
  if (form === "times") return `${grouped(value)}×`;
  if (form === "seconds") return `${short(value)} s`;
  const whole = Number.isInteger(value) && Math.abs(value) > 1;
  if (whole || Math.abs(value) >= 100) return grouped(value);
  return (Math.abs(value) < 0.00005 ? 0 : value).toFixed(4); // no minus before zero
}

const grouped = (value) =>
  value.toLocaleString("en-US", { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 });

/** Three significant digits without an exponent where that is readable. */
function short(value) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1000) return grouped(value);
  return Math.abs(value) < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
}

/** A labelled select that calls `chosen` with the value. */
function choice(label, options, current, chosen) {
  const select = element("select", { change: (event) => chosen(event.target.value) });
  for (const [value, text] of options) select.append(element("option", { value }, text));
  select.value = current;
  return element("label", {}, label, select);
}
