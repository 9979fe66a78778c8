// Filters, theme, and putting the sections in their places.
const byId = (id) => document.getElementById(id);

function setUpTheme() {
  const button = byId("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = () => {
    try {
      return localStorage.getItem("lethe-theme");
    } catch {
      return null; // storage is off: the system's choice holds
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light theme" : "Dark theme";
  };
  apply(remembered() ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", () => remembered() ?? apply(system.matches ? "dark" : "light"));
  button.addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    apply(theme);
    try {
      localStorage.setItem("lethe-theme", theme);
    } catch {
      // Storage is off: the choice holds until the page is closed.
    }
  });
}

function setUpFilters() {
  const set = (key) => (value) => change({ filters: { ...state.filters, [key]: value } });
  const boxes = SETTING.map((label) => {
    const values = [...new Set(data.rows.map((row) => row[label]))].sort();
    const every = [["", `All (${values.length})`], ...values.map((value) => [value, title(value)])];
    return choice(label[0].toUpperCase() + label.slice(1), every, "", set(label));
  });
  if (data.rows.some((row) => row.options)) {
    const kinds = [["", "All options"], ["defaults", "Defaults only"], ["variants", "Other than defaults"]];
    boxes.push(choice("Options", kinds, "", set("options")));
  }
  const numbers = [["value", "Values"], ["gap", "Gaps to gold"], ["units", "Gaps in gold's deviations"]];
  boxes.push(choice("Numbers", numbers, "value", (kind) => change({ numbers: kind })));
  const search = element("input", { type: "search", id: "search", input: (event) => change({ search: event.target.value }) });
  byId("selects").append(...boxes, element("label", {}, "Search", search));
  const methods = [...new Set(data.rows.map((row) => row.method))].sort((a, b) => rank(a) - rank(b) || title(a).localeCompare(title(b), "en"));
  byId("methods").append(...methods.map(chip));
}

const rank = (method) => (data.references.includes(method) ? data.references.indexOf(method) : data.references.length);

function chip(method) {
  const toggle = () => {
    const hidden = new Set(state.hidden);
    if (!hidden.delete(method)) hidden.add(method);
    button.setAttribute("aria-pressed", String(!hidden.has(method)));
    change({ hidden });
  };
  const attributes = { type: "button", class: "chip", "aria-pressed": "true", "data-method": method, click: toggle };
  const button = element("button", attributes, swatch(method), title(method));
  return button;
}

function setUpLeaderboard() {
  const fill = sortable(byId("leaderboard-table"), "Leaderboard");
  const metrics = data.columns.filter(({ metric }) => data.rows.some((row) => metricOf(row, metric)));
  follow(() => {
    const rows = visible();
    const labels = labelColumns(data.rows);
    const over = { key: "over", title: "Over", kind: "label", cell: (row) => overOf(row), sorting: (row) => row.cells };
    fill([...labels, over, ...metrics.map((column) => metricColumn(column))], rows);
  });
}

/** How many requests and seeds a row is over, and what has to be said about its runs. */
const overOf = (row) => [row.over, row.remark ? element("span", { class: "remark" }, row.remark) : null];

function setUpRanks() {
  const box = byId("ranks-table");
  const found = data.ranks;
  byId("ranks-verdict").textContent = found.rows.length
    ? `${found.verdict} Settings: ${found.settings.join(", ")}.`
    : "No setting has closeness scores: they need five gold models (method=retrain, several seeds or requests).";
  if (!found.rows.length) return;
  const head = ["Method", "Mean rank", "Mean C", "Missing"].map((text, place) => element("th", { scope: "col", class: place ? "number" : null }, text));
  const body = found.rows.map((row) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, element("span", { class: "name" }, swatch(methodOf(row.method)), rankName(row.method))),
      ...[row.rank.toFixed(2), row.score === null ? "–" : row.score.toFixed(2), String(row.missing)].map((text) => element("td", { class: "number" }, text)),
    ),
  );
  box.replaceChildren(element("table", { class: "plain" }, element("thead", {}, element("tr", {}, head)), element("tbody", {}, body)));
  if (found.picture) {
    const label = `Critical-difference diagram: ${found.rows.map((row) => `${rankName(row.method)} ${row.rank.toFixed(2)}`).join(", ")}`;
    byId("ranks-picture").append(element("img", { src: found.picture, alt: label }));
  }
}

function setUpDrift() {
  if (!data.drift.length) return;
  byId("drift").hidden = false;
  byId("drift-pictures").append(
    ...data.drift.map((page) => element("img", { src: page.picture, alt: `Drift curves of streams on ${title(page.backbone)}` })),
  );
}

const methodOf = (name) => name.split(" (")[0];
const rankName = (name) => title(methodOf(name)) + name.slice(methodOf(name).length);

function setUpPlots() {
  const chosen = { x: AXES.x[0][0], y: AXES.y[0][0], kind: DISTANCES[0][0] };
  const pick = (key) => (value) => {
    chosen[key] = value;
    change({});
  };
  const measured = (options) => options.filter(([metric]) => data.rows.some((row) => metricOf(row, metric)));
  byId("trade-off-controls").append(
    choice("Up", measured(AXES.y), chosen.y, pick("y")),
    choice("Right", measured(AXES.x), chosen.x, pick("x")),
  );
  byId("cost-controls").append(choice("Distance", DISTANCES, chosen.kind, pick("kind")));
  facets(byId("trade-off-plots"), tradeOff(chosen));
  facets(byId("cost-plots"), cost(chosen));
  facets(byId("trajectories-plots"), trajectories);
}

function setUpAudits() {
  const names = auditsOf(data.rows);
  const box = byId("audits-table");
  if (!names.length) {
    box.replaceChildren(element("p", { class: "empty" }, "No audit was run: audit=standard adds the cheap ones."));
    return;
  }
  let audit = names.includes("membership") ? "membership" : names[0];
  const fill = sortable(box, "Audits");
  const draw = () => {
    const rows = visible().filter((row) => figuresOf([row], audit).length);
    const figures = figuresOf(rows, audit).map((column) => metricColumn(column, goldBelow(column.metric)));
    fill([...labelColumns(data.rows), ...figures], rows);
  };
  const options = names.map((name) => [name, name.replaceAll("_", " ")]);
  const pick = (name) => {
    audit = name;
    draw();
  };
  byId("audits-controls").append(choice("Audit", options, audit, pick));
  follow(draw);
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
byId("counts").textContent =
  `${plural(data.rows.reduce((sum, row) => sum + row.cells, 0), "finished cell")} in ` +
  `${plural(settings(data.rows).length, "setting")}.`;
setUpTheme();
setUpFilters();
setUpRanks();
setUpDrift();
setUpLeaderboard();
setUpPlots();
setUpAudits();
