/* Average mAP against the label ratio, from the committed results: every seed is a point. */
(function () {
  "use strict";

  const { el, svg, anyOf, select, status, onResize, explorable } = window.nontargetUi;

  const SHAPES = [
    (r) => `M${-r} 0A${r} ${r} 0 1 0 ${r} 0A${r} ${r} 0 1 0 ${-r} 0Z`,
    (r) => `M${-r} ${-r}H${r}V${r}H${-r}Z`,
    (r) => `M0 ${-1.3 * r}L${1.2 * r} ${r}H${-1.2 * r}Z`,
    (r) => `M0 ${-1.4 * r}L${1.4 * r} 0L0 ${1.4 * r}L${-1.4 * r} 0Z`,
    (r) => `M0 ${1.3 * r}L${1.2 * r} ${-r}H${-1.2 * r}Z`,
  ];
  const HUES = 6;
  const MARGIN = { left: 44, right: 12, top: 12, bottom: 44 };
  const HEIGHT = 320;

  explorable("ratio", (root, data) => {
    if (!data.datasets.length) {
      root.append(el("p", { class: "ex-status" }, "No committed result is current. `make reproduce` computes them."));
      return;
    }
    const state = { dataset: data.datasets[0], shown: [] };
    const palette = [...data.main, ...data.order.filter((name) => !data.main.includes(name))];
    const systems = el("div");
    const plot = el("div", { class: "ex-plot-wide" });
    const numbers = el("div", { class: "ex-table-box", tabindex: "0", role: "region", "aria-label": "The points as a table" });
    const said = status();
    let width = 0;

    root.append(
      el("div", { class: "ex-controls" },
        select("Data set", data.datasets.map((d, i) => [String(i), `${d.name} (${d.simulated ? "simulated" : "real"})`]), "0",
          (i) => choose(data.datasets[i]))),
      systems,
      plot,
      said.element,
      el("details", {}, el("summary", {}, "The points as a table"), numbers),
    );

    function choose(dataset) {
      state.dataset = dataset;
      const wanted = state.shown.length ? state.shown : data.main;
      state.shown = dataset.systems.map((s) => s.name).filter((name) => wanted.includes(name));
      systems.replaceChildren(anyOf("Systems", dataset.systems.map(({ name }) => [name, name, mark(palette.indexOf(name))]), state.shown,
        (names) => {
          state.shown = names;
          draw();
        }));
      draw();
    }

    function draw() {
      const chosen = state.dataset.systems.filter((s) => state.shown.includes(s.name));
      if (width) plot.replaceChildren(scatter(chosen, state.dataset, palette, width));
      numbers.replaceChildren(table(chosen));
      said.say(inWords(chosen, state.dataset));
    }

    onResize(root, () => {
      width = plot.clientWidth;
      draw();
    });
    choose(state.dataset);
  });

  const percent = (share) => `${Math.round(1000 * share) / 10} %`;
  const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

  /** label ratio -> its points, ascending. */
  function byRatio({ points }) {
    const groups = new Map();
    for (const point of [...points].sort((a, b) => a.ratio - b.ratio)) {
      groups.set(point.ratio, [...(groups.get(point.ratio) || []), point]);
    }
    return groups;
  }

  function look(index) {
    return { hue: index % HUES, shape: SHAPES[(index + Math.floor(index / HUES)) % SHAPES.length] };
  }

  function mark(index) {
    const { hue, shape } = look(index);
    return svg("svg", { width: 14, height: 14, viewBox: "-7 -7 14 14", "aria-hidden": "true", class: `ex-hue-${hue}` },
      svg("path", { d: shape(4.4) }));
  }

  function scatter(chosen, dataset, palette, width) {
    const ratios = [...new Set(dataset.systems.flatMap((s) => s.points.map((p) => p.ratio)))].sort((a, b) => a - b);
    const top = Math.max(10, ...dataset.systems.flatMap((s) => s.points.map((p) => p.map)));
    const step = top > 40 ? 20 : top > 20 ? 10 : 5;
    const ceiling = Math.ceil((1.02 * top) / step) * step;
    const inner = width - MARGIN.left - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    const band = inner / ratios.length;
    const x = (ratio) => MARGIN.left + (ratios.indexOf(ratio) + 0.5) * band;
    const y = (map) => bottom - (map / ceiling) * (bottom - MARGIN.top);
    const levels = Array.from({ length: ceiling / step + 1 }, (_, i) => i * step);
    // Systems stand beside each other at a ratio, so that equal numbers do not hide one another.
    const offset = (ratio, system) => {
      const there = chosen.filter((s) => s.points.some((p) => p.ratio === ratio));
      return ((there.indexOf(system) + 0.5) / there.length - 0.5) * Math.min(0.7 * band, 16 * there.length);
    };
    return svg("svg", { width, height: HEIGHT, role: "img", "aria-label": `Average mAP against label ratio on ${dataset.name}; the text below has the means.` },
      ...levels.flatMap((level) => [
        svg("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(level), y2: y(level), class: "ex-grid" }),
        svg("text", { x: MARGIN.left - 6, y: y(level) + 4, "text-anchor": "end" }, String(level))]),
      ...ratios.map((ratio) => svg("text", { x: x(ratio), y: bottom + 18, "text-anchor": "middle" }, percent(ratio))),
      svg("text", { x: MARGIN.left + inner / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "labelled training videos"),
      svg("text", { transform: `translate(12 ${(MARGIN.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, "average mAP (%)"),
      ...chosen.map((system) => {
        const { hue, shape } = look(palette.indexOf(system.name));
        const groups = [...byRatio(system)];
        const line = groups.map(([ratio, points]) => `${x(ratio) + offset(ratio, system)} ${y(mean(points.map((p) => p.map)))}`).join("L");
        return svg("g", { class: `ex-hue-${hue}` }, svg("path", { d: `M${line}`, class: "ex-mean" }),
          ...system.points.map((p) =>
            svg("path", { d: shape(4), class: "ex-dot", transform: `translate(${x(p.ratio) + offset(p.ratio, system)} ${y(p.map)})` },
              svg("title", {}, `${system.name}, ${percent(p.ratio)}, seed ${p.seed}: ${p.map.toFixed(1)}`))));
      }));
  }

  function table(chosen) {
    const rows = chosen.flatMap((s) => [...byRatio(s)].map(([ratio, points]) =>
      el("tr", {}, el("th", { scope: "row" }, s.name), el("td", {}, percent(ratio)),
        el("td", {}, points.map((p) => `${p.map.toFixed(1)} (seed ${p.seed})`).join(", ")),
        el("td", {}, mean(points.map((p) => p.map)).toFixed(1)))));
    return el("table", {}, el("thead", {}, el("tr", {}, ...["system", "labelled", "average mAP (%) of each seed", "mean"].map((h) =>
      el("th", { scope: "col" }, h)))), el("tbody", {}, ...rows));
  }

  function inWords(chosen, dataset) {
    if (!chosen.length) return "No system is chosen.";
    const sentences = chosen.map((s) => {
      const means = [...byRatio(s)].map(([ratio, points]) => `${mean(points.map((p) => p.map)).toFixed(1)} at ${percent(ratio)}`);
      return `${s.name} ${means.join(", ")}`;
    });
    return `${dataset.name} (${dataset.simulated ? "simulated data" : "real data"}), mean over seeds of the average mAP: ${sentences.join("; ")}.`;
  }
})();
