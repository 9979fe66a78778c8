// The plots: utility against forgetting, time against distance, trajectories. One facet per setting.
const FIRST = 6;

/** Facets in `box` for the visible settings; `draw(rows, gold, width)` gives an SVG or null. */
function facets(box, draw) {
  let all = false;
  function fill() {
    const variantsFirst = (a, b) => (a.options === "") - (b.options === ""); // drawn below the defaults
    const groups = settings(visible()).map((rows) => ({ rows: rows.sort(variantsFirst), gold: goldOf(rows[0]) }));
    const width = Math.max(280, Math.min(560, facetWidth(box)));
    const made = groups
      .map(({ rows, gold }) => ({ rows, picture: draw(rows, gold, width) }))
      .filter(({ picture }) => picture !== null);
    const kept = all ? made : made.slice(0, FIRST);
    const figures = kept.map(({ rows, picture }) => {
      picture.querySelector(".point")?.setAttribute("tabindex", "0");
      return element("figure", {}, element("figcaption", {}, settingOf(rows[0])), picture);
    });
    const show = () => {
      all = true;
      fill();
    };
    const more = element("button", { type: "button", class: "quiet", click: show }, `Show all ${made.length} settings`);
    box.replaceChildren(...(figures.length ? figures : [element("p", { class: "empty" }, "Nothing to draw here.")]));
    if (kept.length < made.length) box.append(element("div", { class: "more" }, more));
  }
  follow(fill);
  let known = box.clientWidth;
  new ResizeObserver(() => {
    if (Math.abs(box.clientWidth - known) < 2) return;
    known = box.clientWidth;
    fill();
  }).observe(box);
}

/** Width inside a facet: as the style sheet lays the columns out. */
function facetWidth(box) {
  const columns = Math.max(1, Math.floor((box.clientWidth + 18) / (380 + 18)));
  return (box.clientWidth - 18 * (columns - 1)) / columns - 26;
}

function picture(width, height, label, ...parts) {
  const attributes = { viewBox: `0 0 ${width} ${height}`, height, role: "group", "aria-label": label };
  return drawn("svg", attributes, ...parts);
}

/** Gold's band across the plot along one axis: mean and standard deviation over seeds. */
function band(axis, other, summary, upright) {
  if (!summary) return [];
  const clipped = (value) => Math.max(Math.min(axis.from, axis.to), Math.min(Math.max(axis.from, axis.to), axis(value)));
  const parts = [];
  const centre = clipped(summary.mean);
  const ends = upright ? { x1: centre, x2: centre, y1: other.from, y2: other.to } : { y1: centre, y2: centre, x1: other.from, x2: other.to };
  if (summary.deviation !== null) {
    const [a, b] = [summary.mean - summary.deviation, summary.mean + summary.deviation].map(clipped);
    const [start, size] = [Math.min(a, b), Math.max(1, Math.abs(b - a))];
    const [rest, length] = [Math.min(other.from, other.to), Math.abs(other.to - other.from)];
    const box = upright ? { x: start, width: size, y: rest, height: length } : { y: start, height: size, x: rest, width: length };
    parts.push(drawn("rect", { class: "band gold", ...box }));
  }
  return [...parts, drawn("line", { class: "centre", ...ends })];
}

function errorBars(x, y, sx, sy) {
  const bar = (ends) => drawn("line", { class: "bar", ...ends });
  const [cx, cy] = [x(sx.mean), y(sy.mean)];
  const parts = [];
  if (sx.deviation) parts.push(bar({ x1: x(sx.mean - sx.deviation), x2: x(sx.mean + sx.deviation), y1: cy, y2: cy }));
  if (sy.deviation) parts.push(bar({ x1: cx, x2: cx, y1: y(sy.mean - sy.deviation), y2: y(sy.mean + sy.deviation) }));
  return parts;
}

const ends = (summary) => [summary.mean - (summary.deviation ?? 0), summary.mean + (summary.deviation ?? 0)];
const meanText = (summary) => printed(summary.mean) + spreadText(summary, "");

const AXES = {
  y: [["test/recall_at_20", "test recall@20"], ["test/ndcg_at_20", "test NDCG@20"], ["retain/recall_at_20", "retain recall@20"]],
  x: [["forget/recall_at_20", "forget recall@20"], ["forget/ndcg_at_20", "forget NDCG@20"], ["audit/membership/balanced_accuracy", "attack bal. acc."]],
};
const axisName = (side, metric) => AXES[side].find(([name]) => name === metric)[1];

function tradeOff(chosen) {
  return (rows, gold, width) => {
    const shown = rows.map((row) => ({ row, sx: summaryOf(row, chosen.x), sy: summaryOf(row, chosen.y) })).filter(({ sx, sy }) => sx && sy);
    if (!shown.length) return null;
    const [gx, gy] = [gold && summaryOf(gold, chosen.x), gold && summaryOf(gold, chosen.y)];
    const height = 320;
    const x = scale(...range([...shown.map(({ sx }) => ends(sx)), gx ? ends(gx) : []].flat()), SPACE.left, width - SPACE.right);
    const y = scale(...range([...shown.map(({ sy }) => ends(sy)), gy ? ends(gy) : []].flat()), height - SPACE.bottom, SPACE.top);
    const names = { x: axisName("x", chosen.x), y: axisName("y", chosen.y) };
    const bars = shown.map(({ sx, sy }) => errorBars(x, y, sx, sy));
    const points = shown.map(({ row, sx, sy }) => {
      const text = `${nameOf(row)}\n${names.y} ${meanText(sy)}\n${names.x} ${meanText(sx)}`;
      return point(x(sx.mean), y(sy.mean), mark(row.method, Boolean(row.options)), text, () => openPanel(row, chosen.x, names.x));
    });
    const label = `${names.y} against ${names.x}, ${settingOf(rows[0])}`;
    return picture(width, height, label, ...axes(x, y, names), ...band(x, y, gx, true), ...band(y, x, gy, false), ...bars.flat(), ...points);
  };
}

const DISTANCES = [
  ["list_distance/excess_overlap_at_20", "excess distance of top-20 lists"],
  ["forget/recall_at_20", "gap in forget recall@20"],
  ["test/recall_at_20", "gap in test recall@20"],
  ["overlap", "1 − overlap, same-seed gold"],
];

const distanceOf = (row, kind) => Math.abs(metricOf(row, kind)?.gap?.value ?? NaN);

/** Gold's standard deviation over training seeds; null where it is not known. */
const goldUnit = (gold, kind) => (gold ? (metricOf(gold, kind)?.unit?.value ?? null) : null);

function cost(chosen) {
  return (rows, gold, width) => {
    const shown = rows
      .filter((row) => !data.references.includes(row.method))
      .map((row) => ({ row, seconds: summaryOf(row, "time/unlearn_seconds")?.mean ?? 0, distance: distanceOf(row, chosen.kind) }))
      .filter(({ seconds, distance }) => seconds > 0 && Number.isFinite(distance));
    if (!shown.length) return null;
    const retraining = summaryOf(gold ?? shown[0].row, "time/gold_train_seconds")?.mean ?? null;
    const spread = goldUnit(gold, chosen.kind);
    const height = 300;
    const x = scale(...range([...shown.map(({ seconds }) => seconds), retraining ?? NaN], true), SPACE.left, width - SPACE.right, true);
    const highest = Math.max(...shown.map(({ distance }) => distance), spread ?? 0) || 1;
    const y = scale(0, highest * 1.12, height - SPACE.bottom, SPACE.top);
    const name = DISTANCES.find(([kind]) => kind === chosen.kind)[1];
    const parts = axes(x, y, { x: "seconds (logarithmic)", y: name });
    if (spread !== null) parts.push(drawn("rect", { class: "band", x: x.from, width: x.to - x.from, y: y(spread), height: y.from - y(spread) }));
    if (retraining) {
      const place = x(retraining);
      parts.push(drawn("line", { class: "centre", x1: place, x2: place, y1: y.from, y2: y.to }));
      parts.push(drawn("text", { x: place - 5, y: y.to + 10, "text-anchor": "end" }, "retraining"));
    }
    const points = shown.map(({ row, seconds, distance }) => {
      const text = `${nameOf(row)}\n${short(seconds)} s\n${name} ${printed(distance)}`;
      return point(x(seconds), y(distance), mark(row.method, Boolean(row.options)), text, () => openPanel(row, "time/unlearn_seconds", "seconds", "seconds"));
    });
    return picture(width, height, `${name} against seconds, ${settingOf(rows[0])}`, ...parts, ...points);
  };
}

const PANELS = [["valid/recall_at_20", "valid recall@20", 1], ["forget/recall_at_20", "forget recall@20", 2]];

function trajectories(rows, gold, width) {
  const lines = rows
    .filter((row) => !data.references.includes(row.method))
    .flatMap((row) => row.trajectories.map((line) => ({ row, ...line, points: line.points.filter(([seconds]) => seconds > 0) })))
    .filter(({ points }) => points.length);
  if (!lines.length) return null;
  const retraining = summaryOf(gold ?? rows[0], "time/gold_train_seconds")?.mean ?? NaN;
  const times = lines.flatMap(({ points }) => points.map(([seconds]) => seconds));
  const x = scale(...range([...times, retraining], true), SPACE.left, width - SPACE.right, true);
  const parts = PANELS.flatMap(([metric, name, place], index) => {
    const top = SPACE.top + index * 165;
    const summary = gold && summaryOf(gold, metric);
    const values = lines.flatMap(({ points }) => points.map((one) => one[place])).filter((value) => value !== null);
    const y = scale(...range([...values, ...(summary ? ends(summary) : [])]), top + 145, top);
    const last = index === PANELS.length - 1;
    return [
      ...axes(x, y, { x: last ? "seconds (logarithmic)" : null, y: name }),
      ...band(y, x, summary, false),
      ...(Number.isFinite(retraining) ? [drawn("line", { class: "centre", x1: x(retraining), x2: x(retraining), y1: y.from, y2: y.to })] : []),
      ...lines.flatMap((line) => way(line, place, x, y, name, metric)),
    ];
  });
  return picture(width, SPACE.top + 165 + 145 + SPACE.bottom, `Trajectories, ${settingOf(rows[0])}`, ...parts);
}

function way({ row, request, seed, points }, place, x, y, name, metric) {
  const known = points.filter((one) => one[place] !== null);
  if (!known.length) return [];
  const path = known.map((one, i) => `${i ? "L" : "M"}${x(one[0]).toFixed(1)} ${y(one[place]).toFixed(1)}`).join("");
  const final = known[known.length - 1];
  const text = `${nameOf(row)}, request ${request}, seed ${seed}\nafter ${short(final[0])} s: ${name} ${printed(final[place])}`;
  const open = () => openPanel(row, metricOf(row, metric) ? metric : Object.keys(row.metrics)[0], name);
  const line = drawn("path", { class: row.options ? "way variant" : "way", d: path });
  line.style.stroke = colourOf(row.method);
  return [line, point(x(final[0]), y(final[place]), mark(row.method, Boolean(row.options)), text, open)];
}
