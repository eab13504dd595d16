/* From a class curve to detections: thresholds give candidates, Soft-NMS lets overlapping ones decay. */
(function () {
  "use strict";

  const core = window.nontargetCore;
  const { el, svg, range, oneOf, anyOf, select, status, onResize, explorable } = window.nontargetUi;

  const FOUND = 0.5; // tIoU from which a detection counts as right
  const LISTED = 8;
  const CURVE = 130;
  const ROW = 18;
  const MARGIN = { left: 30, right: 92 };
  const METHODS = {
    gaussian: { label: "σ, width of the decay", min: 0.05, max: 2, step: 0.05, value: 0.4 },
    linear: { label: "tIoU from which scores decay", min: 0.05, max: 0.95, step: 0.05, value: 0.3 },
    hard: { label: "tIoU from which segments go", min: 0.05, max: 0.95, step: 0.05, value: 0.3 },
  };

  explorable("postprocessing", (root, data) => {
    const state = { shown: 0, classThresholds: [0.1, 0.2, 0.3], maskThresholds: [0.2, 0.3], method: "gaussian", strength: data.sigma };
    const plot = el("div", { class: "ex-plot-wide" });
    const said = status();
    let width = 0;
    const strength = range(METHODS.gaussian.label, { ...METHODS.gaussian, value: state.strength, format: (v) => v.toFixed(2) },
      (value) => change({ strength: value }));

    root.append(
      el("p", { class: "ex-caption" }, `${data.video}, ${data.simulated ? "simulated" : "real"} data; ${data.about}`),
      el("div", { class: "ex-controls" },
        select("Class", data.classes.map((c, i) => [String(i), c.truth.length ? `${c.name} (in the video)` : `${c.name} (not in the video)`]), "0",
          (i) => change({ shown: Number(i) })),
        oneOf("Method", Object.keys(METHODS).map((m) => [m, m]), state.method, chooseMethod),
        strength.element),
      anyOf("Class thresholds", data.classThresholds.map((v) => [v, String(v)]), state.classThresholds, (v) => change({ classThresholds: v })),
      anyOf("Mask thresholds", data.maskThresholds.map((v) => [v, String(v)]), state.maskThresholds, (v) => change({ maskThresholds: v })),
      plot,
      said.element,
    );

    function chooseMethod(method) {
      const settings = { ...METHODS[method], ...(method === "gaussian" ? { value: data.sigma } : {}) };
      strength.set(settings);
      change({ method, strength: settings.value });
    }

    function change(changes) {
      Object.assign(state, changes);
      draw();
    }

    function draw() {
      const shown = data.classes[state.shown];
      const found = detections(shown, data, state);
      if (width) plot.replaceChildren(picture(shown, found, data, state, width));
      said.say(inWords(shown, found));
    }

    onResize(root, () => {
      width = plot.clientWidth;
      draw();
    });
    draw();
  });

  /** Candidates in seconds, and what Soft-NMS keeps of them, best first; right: the first on a free instance. */
  function detections(shown, data, { classThresholds, maskThresholds, method, strength }) {
    const candidates = core.candidates(shown.curve, data.masks, classThresholds, maskThresholds)
      .map((c) => ({ ...c, segment: c.segment.map((t) => Math.min(t / data.fps, data.duration)) }));
    const kept = core.softNms(candidates.map((c) => c.segment), candidates.map((c) => c.score), null,
      { method, sigma: strength, iouThreshold: strength, minScore: data.minScore, maxDetections: data.maxDetections });
    const free = new Set(shown.truth.keys());
    const list = kept.indices.map((index, rank) => {
      const { segment, score, fromMask } = candidates[index];
      const overlaps = [...free].map((i) => [core.tiou(shown.truth[i], segment), i]).sort((a, b) => b[0] - a[0]);
      const right = overlaps.length > 0 && overlaps[0][0] >= FOUND;
      if (right) free.delete(overlaps[0][1]);
      return { segment, before: score, after: kept.scores[rank], fromMask, right };
    });
    return { candidates, kept: list };
  }

  function picture(shown, { candidates, kept }, data, { classThresholds }, width) {
    const inner = width - MARGIN.left - MARGIN.right;
    const x = (seconds) => MARGIN.left + (seconds / data.duration) * inner;
    const ceiling = Math.max(0.5, Math.ceil(10 * Math.max(...shown.curve, ...classThresholds)) / 10);
    const truthTop = 20;
    const curveTop = truthTop + 42;
    const y = (p) => curveTop + CURVE * (1 - p / ceiling);
    const lanes = packed(candidates);
    const lane = Math.min(7, 70 / Math.max(1, lanes.length));
    const lanesTop = curveTop + CURVE + 28;
    const listTop = lanesTop + Math.max(1, lanes.length) * lane + 28;
    const listed = kept.slice(0, LISTED);
    const axis = listTop + Math.max(1, listed.length) * ROW + 6;
    const bar = ([start, end], top, height, attributes) =>
      svg("rect", { x: x(start), width: Math.max(1.5, x(end) - x(start)), y: top, height, rx: 1.5, ...attributes });
    const heading = (text, top) => svg("text", { x: 0, y: top, class: "ex-strong" }, text);
    const steps = shown.curve.map((p, t) => `L${x(t / data.fps)} ${y(p)}H${x(Math.min((t + 1) / data.fps, data.duration))}`).join("");
    const seconds = tickStep(data.duration, inner);

    return svg("svg", { width, height: axis + 40, role: "img", "aria-label": `Curve, candidates and detections of ${shown.name}; the text below has the result.` },
      ...shown.truth.map((segment) => bar(segment, truthTop, axis - truthTop, { class: "ex-truth-shade" })),
      heading("Truth", 12),
      ...shown.truth.map((segment) => bar(segment, truthTop, 8, { class: "ex-truth" })),
      svg("path", { d: `M${x(0)} ${y(0)}${steps}V${y(0)}Z`, class: "ex-curve" }),
      ...[0, ceiling].map((p) => svg("text", { x: MARGIN.left - 6, y: y(p) + 5, "text-anchor": "end" }, String(p))),
      heading("Probability", curveTop - 10),
      ...classThresholds.map((p) => svg("line", { x1: x(0), x2: x(data.duration), y1: y(p), y2: y(p), class: "ex-threshold" })),
      heading(`${candidates.length} candidates`, lanesTop - 8),
      ...lanes.flatMap((row, i) => row.map((c) => bar(c.segment, lanesTop + i * lane, Math.max(lane - 1.5, 1), { class: c.fromMask ? "ex-cand-mask" : "ex-cand" }))),
      heading(`Best ${listed.length || ""} after Soft-NMS`.replace("  ", " "), listTop - 8),
      svg("text", { x: width, y: listTop - 8, "text-anchor": "end" }, "score"),
      ...listed.flatMap((d, i) => {
        const top = listTop + i * ROW;
        return [
          bar(d.segment, top + 2, ROW - 6, { class: d.right ? "ex-right" : "ex-wrong" }),
          svg("text", { x: 4, y: top + 12 }, d.right ? "✓" : "✗"),
          svg("text", { x: width, y: top + 12, "text-anchor": "end" }, `${d.before.toFixed(2)} → ${d.after.toFixed(2)}`)];
      }),
      svg("line", { x1: x(0), x2: x(data.duration), y1: axis, y2: axis, class: "ex-axis" }),
      ...Array.from({ length: Math.floor(data.duration / seconds) + 1 }, (_, i) => i * seconds).map((s) =>
        svg("text", { x: x(s), y: axis + 16, "text-anchor": "middle" }, String(s))),
      svg("text", { x: x(data.duration / 2), y: axis + 34, "text-anchor": "middle" }, "seconds"));
  }

  const tickStep = (duration, inner) => [1, 2, 5, 10, 20, 50, 100, 200, 500].find((s) => (s / duration) * inner >= 44) || 1000;

  /** Candidates in as few rows as hold them without overlap, best first. */
  function packed(candidates) {
    const rows = [];
    for (const c of [...candidates].sort((a, b) => b.score - a.score)) {
      const row = rows.find((r) => r.every((o) => o.segment[1] <= c.segment[0] || o.segment[0] >= c.segment[1]));
      if (row) row.push(c);
      else rows.push([c]);
    }
    return rows;
  }

  function inWords(shown, { candidates, kept }) {
    if (!candidates.length) return `${shown.name}: no candidates; tick a class threshold that the curve exceeds.`;
    const best = kept[0];
    const top = kept.length ? ` the best is ${best.segment.map((s) => s.toFixed(1)).join(" to ")} s with ${best.after.toFixed(2)}.` : "";
    const among = kept.slice(0, LISTED).filter((d) => d.right).length;
    const hits = shown.truth.length
      ? ` Among the first ${Math.min(LISTED, kept.length)}, ${among} of ${shown.truth.length} instances are found at tIoU ${FOUND}.`
      : " The class is not in the video: every detection is wrong.";
    return `${shown.name}: ${candidates.length} candidates, ${kept.length} kept by Soft-NMS;${top}${hits}`;
  }
})();
