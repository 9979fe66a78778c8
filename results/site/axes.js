// Scales, axes, markers and the tip: what every plot needs.
const SPACE = { left: 64, right: 14, top: 14, bottom: 42 };

/** Map [low, high] to [from, to]; `log` for a logarithmic scale. */
function scale(low, high, from, to, log = false) {
  const at = log ? Math.log10 : (value) => value;
  const [a, b] = [at(low), at(high)];
  const place = (value) => from + ((at(value) - a) / (b - a || 1)) * (to - from);
  return Object.assign(place, { low, high, from, to, log });
}

/** A range around values with some air; logarithmic ranges end at nice values. */
function range(values, log = false) {
  const found = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  if (!found.length) return log ? [0.1, 10] : [0, 1];
  let [low, high] = [Math.min(...found), Math.max(...found)];
  if (log) return [low / 1.6, high * 1.6];
  const air = (high - low || Math.abs(high) || 1) * 0.1;
  [low, high] = [low - air, high + air];
  return [low < 0 && Math.min(...found) >= 0 ? -air / 3 : low, high];
}

/** About `count` round values within a scale. */
function ticks(axis, count) {
  if (axis.log) {
    const found = [];
    for (let power = Math.floor(Math.log10(axis.low)); power <= Math.ceil(Math.log10(axis.high)); power++)
      found.push(...[1, 2, 5].map((step) => Number(`${step}e${power}`)));
    const inside = found.filter((value) => value >= axis.low && value <= axis.high);
    const tens = inside.filter((value) => /^1(e|0*$)|^0\.0*1$/.test(String(value)));
    const kept = inside.length <= count ? inside : tens.length >= 2 ? tens : inside.filter((_, i) => i % 2 === 0);
    return kept.filter((_, index) => index % Math.ceil(kept.length / count) === 0);
  }
  const rough = (axis.high - axis.low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.7) * power;
  const first = Math.ceil(axis.low / step);
  return Array.from({ length: Math.floor(axis.high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(10)));
}

/** Grid, tick labels and axis titles. */
function axes(x, y, names) {
  const parts = [];
  for (const value of ticks(y, 5)) {
    parts.push(drawn("line", { class: "grid", x1: x.from, x2: x.to, y1: y(value), y2: y(value) }));
    parts.push(drawn("text", { x: x.from - 7, y: y(value) + 4, "text-anchor": "end" }, short(value)));
  }
  for (const value of names.x === null ? [] : ticks(x, Math.max(3, Math.floor((x.to - x.from) / 62)))) {
    parts.push(drawn("line", { class: "axis", x1: x(value), x2: x(value), y1: y.from, y2: y.from + 4 }));
    parts.push(drawn("text", { x: x(value), y: y.from + 17, "text-anchor": "middle" }, short(value)));
  }
  parts.push(drawn("line", { class: "axis", x1: x.from, x2: x.to, y1: y.from, y2: y.from }));
  const middle = (x.from + x.to) / 2;
  if (names.x) parts.push(drawn("text", { x: middle, y: y.from + 35, "text-anchor": "middle" }, names.x));
  const turned = `translate(${x.from - 52} ${(y.from + y.to) / 2}) rotate(-90)`;
  parts.push(drawn("text", { transform: turned, "text-anchor": "middle" }, names.y));
  return parts;
}

const SHAPES = {
  circle: "M5 0A5 5 0 1 1-5 0A5 5 0 1 1 5 0Z",
  square: "M-4.5-4.5H4.5V4.5H-4.5Z",
  triangle: "M0-5.6L5.4 4.2H-5.4Z",
  inverted: "M0 5.6L5.4-4.2H-5.4Z",
  diamond: "M0-6.2L5.2 0L0 6.2L-5.2 0Z",
  pentagon: "M0-5.8L5.5-1.8L3.4 4.7H-3.4L-5.5-1.8Z",
  cross: "M-5-2.6L-2.6-5L0-2.4L2.6-5L5-2.6L2.4 0L5 2.6L2.6 5L0 2.4L-2.6 5L-5 2.6L-2.4 0Z",
  plus: "M-1.7-5.4H1.7V-1.7H5.4V1.7H1.7V5.4H-1.7V1.7H-5.4V-1.7H-1.7Z",
  star: "M0-7.2L1.9-2.4L7-2.2L3-1L4.4 5.8L0 2.9L-4.4 5.8L-3-1L-7-2.2L-1.9-2.4Z",
};

/** The marker of a method at the origin; rows with other options than the defaults are hollow. */
function mark(method, hollow = false) {
  const style = data.styles[method];
  const colour = style.colour === "ink" ? "var(--ink)" : style.colour;
  const path = drawn("path", { class: "mark", d: SHAPES[style.shape], fill: hollow ? "var(--paper)" : colour });
  if (!hollow) return path;
  path.style.stroke = colour;
  path.style.strokeWidth = "2";
  path.setAttribute("transform", "scale(0.8)");
  return path;
}

const colourOf = (method) => (data.styles[method].colour === "ink" ? "var(--ink)" : data.styles[method].colour);

/** The marker as a small picture in texts. */
function swatch(method) {
  return drawn("svg", { width: 16, height: 16, viewBox: "-8 -8 16 16", "aria-hidden": "true" }, mark(method));
}

/** A point that shows `text` and opens `open`. Only one point of a plot is in the tab order at a time. */
function point(x, y, marker, text, open) {
  const group = drawn(
    "g",
    {
      class: "point",
      transform: `translate(${x} ${y})`,
      tabindex: "-1",
      role: "button",
      "aria-label": text.replaceAll("\n", ", "),
      click: open,
      keydown: (event) => pressed(event, group, open),
      mouseenter: () => showTip(group, text),
      mouseleave: hideTip,
      focus: () => showTip(group, text),
      blur: hideTip,
    },
    drawn("circle", { class: "halo", r: 11 }),
    marker,
  );
  return group;
}

/** Enter and Space open; arrows go from point to point within the plot. */
function pressed(event, group, open) {
  const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    open();
  } else if (event.key in steps) {
    event.preventDefault();
    const every = [...group.closest("svg").querySelectorAll(".point")];
    const next = every[(every.indexOf(group) + steps[event.key] + every.length) % every.length];
    group.setAttribute("tabindex", "-1");
    next.setAttribute("tabindex", "0");
    next.focus();
  } else if (event.key === "Escape") hideTip();
}

const tip = document.getElementById("tip");

function showTip(node, text) {
  tip.textContent = text;
  tip.hidden = false;
  const box = node.getBoundingClientRect();
  const width = document.documentElement.clientWidth;
  const left = Math.max(8, Math.min(box.left + box.width / 2 - tip.offsetWidth / 2, width - tip.offsetWidth - 8));
  const above = box.top - tip.offsetHeight - 8;
  tip.style.left = `${left + window.scrollX}px`;
  tip.style.top = `${(above < 4 ? box.bottom + 8 : above) + window.scrollY}px`;
}

function hideTip() {
  tip.hidden = true;
}
