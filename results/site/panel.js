// Where a number comes from: requests, seeds, runs, code, device, options, what papers print.
const panel = document.getElementById("panel");
panel.addEventListener("click", (event) => {
  if (event.target === panel) panel.close(); // the backdrop
});

/** Open the account of one number. Escape closes it, and the focus goes back. */
function openPanel(row, metric, name, form = "") {
  const found = row.metrics[metric];
  hideTip();
  panel.replaceChildren();
  filled(panel, {}, [
    element("button", { type: "button", class: "quiet close", click: () => panel.close() }, "Close"),
    element("h2", { id: "panel-title" }, `${name}: ${title(row.method)}`),
    element("p", { class: "hint" }, settingOf(row) + (row.options ? ` · ${row.options}` : "")),
    summaryPart(row, metric, found, form),
    valuePart(found),
    publishedPart(row, metric, found),
    runPart(row),
    configPart(row),
  ]);
  panel.showModal();
  panel.scrollTop = 0;
}

function list(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== "");
  return element("dl", {}, shown.map(([key, value]) => [element("dt", {}, key), element("dd", {}, value)]));
}

function summaryPart(row, metric, found, form) {
  const summary = found.summary;
  if (!summary) return [element("p", { class: "big" }, "not a number")];
  return [
    element("p", { class: "big" }, printed(summary.mean, form) + spreadText(summary, form)),
    list([
      ["over", row.over + (found.part ? `; has ${found.part[0]} of ${found.part[1]}` : "")],
      ["runs", row.remark || null],
      ["± over seeds", summary.deviation === null ? null : short6(summary.deviation)],
      ["± over requests", summary.between === null ? null : short6(summary.between)],
      ["95 % interval", summary.low === null ? null : `${short6(summary.low)} to ${short6(summary.high)}`],
      ["gap to gold", found.gap ? gapText(found.gap) : null],
      ["gap in gold's deviations", found.gap ? unitText(found) : null],
      ["metric", element("code", {}, metric)],
    ]),
  ];
}

function gapText(gap) {
  const interval = gap.low === null ? "" : ` [${signed(gap.low)}, ${signed(gap.high)}] by bootstrap over ${gap.over.join(", ")}`;
  return signed(gap.value) + interval;
}

/** The gap in standard deviations of gold over training seeds, or why that is not known. */
function unitText({ gap, unit }) {
  if (gap.units === null) return `n/a${unit?.why ? `: ${unit.why}` : ""}`;
  return `${grouped(gap.units)} of ${short6(unit.value)}`;
}

const short6 = (value) => String(Number(value.toPrecision(6)));
const signed = (value) => (value > 0 ? "+" : "") + short6(value);

function valuePart(found) {
  const lines = found.values.map(({ request, seed, value, run }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, `${request} / ${seed}`),
      element("td", { class: "number" }, value === null ? "not a number" : short6(value)),
      element("td", {}, element("code", {}, run)),
    ),
  );
  const head = ["Request / seed", "Value", "MLflow run"].map((text, place) =>
    element("th", { scope: "col", class: place === 1 ? "number" : null }, text),
  );
  return [
    element("h3", {}, "Requests and seeds"),
    element(
      "div",
      { class: "scroll", role: "region", "aria-label": "Requests and seeds", tabindex: "0" },
      element("table", { class: "plain" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, lines)),
    ),
  ];
}

function publishedPart(row, metric, found) {
  const numbers = Object.hasOwn(row.published, metric) ? row.published[metric] : [];
  if (!numbers.length) return [element("h3", {}, "Published"), element("p", { class: "hint" }, "No printed value is known.")];
  const mean = found.summary?.mean ?? null;
  return [
    element("h3", {}, "Published"),
    ...numbers.map((number) => [
      list([
        ["value", printed(number.value)],
        ["ours − published", mean === null ? null : signed(mean - number.value)],
        ["source", number.source],
      ]),
      number.notes.length ? element("ul", {}, number.notes.map((note) => element("li", {}, note))) : null,
    ]),
  ];
}

function runPart(row) {
  const runs = Object.entries(row.runs);
  const distinct = (read) => [...new Set(runs.map(([, run]) => read(run)))].join(", ");
  const versions = (run) => Object.entries(run.versions).map(([name, text]) => `${name} ${text}`).join(", ");
  return [
    element("h3", {}, "Runs"),
    list([
      ["commit", element("code", {}, distinct((run) => run.commit))],
      ["device", distinct((run) => run.device + (run.threads ? ` (threads: ${run.threads})` : ""))],
      ["packages", distinct(versions)],
      ["finished", distinct((run) => run.ended)],
      ["cells", element("code", {}, distinct((run) => run.cell))],
    ]),
  ];
}

/** Parameters: the method's at once, the rest on demand. */
function configPart(row) {
  const every = Object.entries(row.params);
  const method = every.filter(([key]) => key.startsWith("method."));
  const rest = every.filter(([key]) => !key.startsWith("method."));
  const differing = Object.entries(row.runs).flatMap(([id, run]) =>
    Object.entries(run.params).filter(([key]) => key !== "seed").map(([key, value]) => [`${key} (${id.slice(0, 8)})`, value]),
  );
  const short = method.map(([key, value]) => [key.slice("method.".length), value]);
  return [
    element("h3", {}, "Options of the method"),
    list(short),
    differing.length ? element("h3", {}, "Different between runs") : null,
    differing.length ? list(differing) : null,
    rest.length ? element("details", {}, element("summary", {}, `All other parameters (${rest.length})`), list(rest)) : null,
    ...commandPart(row),
  ].filter((part) => part !== null);
}

/** The command that runs the cells again, where the options are the defaults. */
function commandPart(row) {
  if (row.options || row.dataset.includes("+")) return [];
  const audit = row.params["audit.name"] ? ` audit=${row.params["audit.name"]}` : "";
  const places = SETTING.map((label) => `${label}=${row[label]}`).join(" ");
  const sweep = row.seeds.length * row.requests.length > 1 ? " -m" : "";
  const request = row.requests.join(",") === "0" ? "" : ` regime.seed=${row.requests.join(",")}`;
  const text = `python -m bench${sweep} ${places} method=${row.method}${request} seed=${row.seeds.join(",")}${audit}`;
  return [element("h3", {}, "Run it again"), element("pre", {}, text)];
}
