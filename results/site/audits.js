// The audits: one table per audit, each figure with gold's below it.

/** Names of the audits of some rows, in alphabetical order. */
function auditsOf(rows) {
  const names = rows.flatMap((row) => Object.keys(row.metrics)).filter((metric) => metric.startsWith("audit/"));
  return [...new Set(names.map((metric) => metric.split("/")[1]))].sort();
}

/** Columns of an audit: the figures that any row has. */
function figuresOf(rows, audit) {
  const prefix = `audit/${audit}/`;
  const found = new Set(rows.flatMap((row) => Object.keys(row.metrics)).filter((metric) => metric.startsWith(prefix)));
  return [...found].sort().map((metric) => ({
    metric,
    title: metric.slice(prefix.length).replaceAll("_at_20", "@20").replaceAll("_", " "),
    goal: "gold",
    form: "",
  }));
}

function goldBelow(metric) {
  return (row) => {
    const value = Object.hasOwn(row.gold_figures, metric) ? row.gold_figures[metric] : null;
    if (value === null || row.method === data.gold) return null;
    return element("span", { class: "gold-figure" }, `gold ${printed(value)}`);
  };
}
