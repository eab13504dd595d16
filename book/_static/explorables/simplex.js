/* All distributions over three classes at once: which subspace the chosen class falls in, and one point to move about. */
(function () {
  "use strict";

  const core = window.nontargetCore;
  const { el, svg, range, oneOf, badge, status, onResize, onDrag, keySteps, explorable, LETTERS } = window.nontargetUi;

  const CLASSES = ["Sailing", "Surfing", "Knitting"]; // left, right and upper corner
  const MARGIN = { side: 34, top: 26, bottom: 26 };
  const WIDEST = 460;
  const STEP = 0.01;

  explorable("simplex", (root) => {
    const state = { ratio: 0.85, precedence: "negative", chosen: 0, probs: [0.44, 0.46, 0.1] };
    const canvas = el("canvas", { "aria-hidden": "true" });
    const overlay = el("div", { class: "ex-overlay", "aria-hidden": "true" });
    const point = el("div", { class: "ex-point", role: "slider", tabindex: "0", "aria-roledescription": "point in a triangle",
      "aria-label": "Distribution over three classes", "aria-valuemin": "0", "aria-valuemax": "100" });
    const plot = el("div", { class: "ex-plot" }, canvas, overlay, point);
    const list = el("ul", { class: "ex-partition" });
    const said = status();
    let size = null;
    let sharpen = null;

    root.append(
      el("div", { class: "ex-split" },
        el("div", { class: "ex-split-main" }, plot, el("p", { class: "ex-legend" }, ...core.SUBSPACES.map((name) =>
          el("span", {}, el("span", { class: `ex-swatch ex-${name}` }), badge(name))))),
        el("div", { class: "ex-split-side" },
          oneOf("Colour shows the subspace of", CLASSES.map((name, c) => [String(c), name]), "0", (c) => change({ chosen: Number(c) })),
          range("λ, the bar for positives", { min: 0.5, max: 1, step: 0.01, value: state.ratio, format: (v) => v.toFixed(2) },
            (ratio) => change({ ratio })).element,
          oneOf("Where both rules claim a class", [["negative", "negative first"], ["positive", "positive first"]], state.precedence,
            (precedence) => change({ precedence })),
          el("p", { class: "ex-heading" }, "At the point"),
          list)),
      said.element,
    );
    onDrag(plot, (event) => {
      const box = plot.getBoundingClientRect();
      movePoint(inside(size.probsAt(event.clientX - box.left, event.clientY - box.top)));
      point.focus({ preventScroll: true });
    });
    point.addEventListener("keydown", (event) => {
      const moved = nudged(state.probs, event.key);
      if (moved === null) return;
      event.preventDefault();
      movePoint(inside(moved));
    });
    onResize(root, (width) => {
      size = geometry(Math.min(width - 2, root.querySelector(".ex-split-main").clientWidth, WIDEST));
      plot.style.width = `${size.width}px`;
      plot.style.height = `${size.height}px`;
      drawRegions();
      movePoint(state.probs);
    });

    function change(changes) {
      Object.assign(state, changes);
      drawRegions();
      movePoint(state.probs);
    }

    /** Coarse at once, and as fine as the screen when the reader pauses: each pixel is a partition. */
    function drawRegions() {
      paint(canvas, size, state, 1);
      overlay.replaceChildren(frame(size, state));
      clearTimeout(sharpen);
      if (window.devicePixelRatio > 1) sharpen = setTimeout(() => paint(canvas, size, state, Math.min(window.devicePixelRatio, 3)), 150);
    }

    function movePoint(probs) {
      state.probs = probs;
      const [x, y] = size.at(probs);
      point.style.transform = `translate(${x}px, ${y}px)`;
      const sets = core.partition(probs, state.ratio, state.precedence);
      const words = CLASSES.map((name, c) => `${name} ${probs[c].toFixed(2)}, ${sets[c]}`);
      point.setAttribute("aria-valuenow", (100 * probs[state.chosen]).toFixed(0));
      point.setAttribute("aria-valuetext", words.join("; "));
      list.replaceChildren(...CLASSES.map((name, c) =>
        el("li", {}, el("span", { class: "ex-name" }, name), el("span", { class: "ex-value" }, probs[c].toFixed(2)), badge(sets[c]))));
      const { negative, positive } = core.claims(probs, state.ratio);
      const both = CLASSES.filter((_, c) => negative[c] && positive[c]);
      const conflict = both.length ? ` Both rules claim ${both.join(" and ")}; ${state.precedence} first.` : " No class is claimed by both rules.";
      said.say(`${words.join("; ")}.${conflict}`);
    }
  });

  /** Where distributions lie in a plot of that width, in CSS pixels. */
  function geometry(width) {
    const side = width - 2 * MARGIN.side;
    const tall = (side * Math.sqrt(3)) / 2;
    const height = tall + MARGIN.top + MARGIN.bottom;
    const bottom = MARGIN.top + tall;
    return {
      width, height, bottom, side,
      at: ([, right, up]) => [MARGIN.side + (right + up / 2) * side, bottom - up * tall],
      probsAt: (x, y) => {
        const up = (bottom - y) / tall;
        const right = (x - MARGIN.side) / side - up / 2;
        return [1 - right - up, right, up];
      },
    };
  }

  /** The nearest distribution on the grid of hundredths. */
  function inside(probs) {
    const positive = probs.map((p) => Math.max(p, 0));
    const total = positive.reduce((a, b) => a + b, 0);
    const [left, right] = positive.map((p) => Math.round(p / total / STEP));
    const whole = Math.round(1 / STEP);
    return [left, Math.min(right, whole - left), Math.max(whole - left - right, 0)].map((n) => n / whole);
  }

  /** A step to the side moves probability between the lower corners, a step up takes it from both. */
  function nudged([left, right, up], key) {
    const steps = keySteps(key);
    if (steps === null) return null;
    const d = Math.max(Math.min(steps, 100), -100) * STEP;
    if (key === "ArrowLeft" || key === "ArrowRight") return d > 0 ? shift(left, right, up, d) : shift(right, left, up, -d, true);
    const rest = left + right;
    const target = Math.min(Math.max(up + d, 0), 1);
    return rest > 0 ? [(left / rest) * (1 - target), (right / rest) * (1 - target), target] : [(1 - target) / 2, (1 - target) / 2, target];
  }

  function shift(from, to, up, d, swapped = false) {
    const moved = Math.min(from, d);
    return swapped ? [to + moved, from - moved, up] : [from - moved, to + moved, up];
  }

  /** Fill every pixel of the triangle with the colour and pattern of the chosen class's subspace there. */
  function paint(canvas, size, { ratio, precedence, chosen }, density) {
    const [width, height] = [Math.round(size.width * density), Math.round(size.height * density)];
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    const inks = Object.fromEntries(core.SUBSPACES.map((name) => [name, colour(canvas, `--ex-${name}`)]));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const probs = size.probsAt((x + 0.5) / density, (y + 0.5) / density);
        if (probs[0] < 0 || probs[1] < 0 || probs[2] < 0) continue;
        const name = core.partition(probs, ratio, precedence)[chosen];
        const [r, g, b] = inks[name];
        image.data.set([r, g, b, opacity(name, x / density, y / density)], 4 * (y * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** Patterns beside colours: target plain, positive dotted, negative striped, ambiguous faint. */
  function opacity(name, x, y) {
    if (name === "positive") return Math.hypot((x % 8) - 4, (y % 8) - 4) < 1.6 ? 255 : 120;
    if (name === "negative") return (x + y) % 8 < 2 ? 210 : 90;
    return name === "target" ? 190 : 60;
  }

  function colour(element, property) {
    const hex = getComputedStyle(element).getPropertyValue(property).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  }

  /** Outline, corner names, and the letter of each region in its middle. */
  function frame(size, state) {
    const corners = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(size.at);
    const anchors = [["start", 2, size.bottom + 18], ["end", size.width - 2, size.bottom + 18], ["middle", size.width / 2, 16]];
    return svg("svg", { width: size.width, height: size.height },
      svg("path", { d: `M${corners.map((c) => c.join(" ")).join("L")}Z`, class: "ex-outline" }),
      ...anchors.map(([anchor, x, y], c) =>
        svg("text", { x, y, "text-anchor": anchor, class: c === state.chosen ? "ex-strong" : "" }, CLASSES[c])),
      ...regionMiddles(state).map(({ name, probs }) => {
        const [x, y] = size.at(probs);
        return svg("g", {}, svg("circle", { cx: x, cy: y, r: 9, class: `ex-disc-${name}` }),
          svg("text", { x, y: y + 4, "text-anchor": "middle", class: "ex-letter" }, LETTERS[name]));
      }));
  }

  /** For each connected region of a coarse grid that is large enough for a letter, the grid point farthest from its border. */
  function regionMiddles({ ratio, precedence, chosen }) {
    const n = 48;
    const cells = new Map();
    for (let right = 0; right <= n; right++) {
      for (let up = 0; up <= n - right; up++) {
        const probs = [n - right - up + 0.01, right + 0.02, up + 0.03].map((v) => v / (n + 0.06)); // off the ties
        cells.set(`${right},${up}`, { right, up, probs, name: core.partition(probs, ratio, precedence)[chosen], depth: 0, region: null });
      }
    }
    const near = ({ right, up }) =>
      [[1, 0], [-1, 0], [0, 1], [0, -1], [1, -1], [-1, 1]].map(([a, b]) => cells.get(`${right + a},${up + b}`));
    for (let depth = 1, growing = true; growing; depth++) {
      // A cell is as deep as the shallowest of its neighbours, plus one.
      const deeper = [...cells.values()].filter((cell) =>
        cell.depth === depth - 1 && near(cell).every((other) => other && other.name === cell.name && other.depth >= depth - 1));
      deeper.forEach((cell) => (cell.depth = depth));
      growing = deeper.length > 0;
    }
    const best = [];
    for (const seed of cells.values()) {
      if (seed.region !== null) continue;
      let deepest = seed;
      const todo = [seed];
      seed.region = best.length;
      while (todo.length) {
        const cell = todo.pop();
        if (cell.depth > deepest.depth) deepest = cell;
        for (const other of near(cell)) {
          if (other && other.region === null && other.name === cell.name) {
            other.region = seed.region;
            todo.push(other);
          }
        }
      }
      best.push(deepest);
    }
    return best.filter((cell) => cell.depth >= 1);
  }
})();
