/* The label space of one snippet: drag the distribution and see the four subspaces, the losses and their pull. */
(function () {
  "use strict";

  const core = window.nontargetCore;
  const { el, svg, range, oneOf, badge, status, onDrag, keySteps, explorable } = window.nontargetUi;

  const CLASSES = ["Sailing", "Putting on Shoes", "Surfing", "Knitting", "background"];
  const PRESETS = {
    figure1: ["Figure 1", [0.3, 0.32, 0.22, 0.1, 0.06]],
    sure: ["sure", [0.9, 0.05, 0.03, 0.01, 0.01]],
    torn: ["torn between two", [0.51, 0.44, 0.03, 0.01, 0.01]],
    uniform: ["nearly uniform", [0.19, 0.21, 0.205, 0.2, 0.195]],
  };
  const MOST = 0.99; // the others keep their proportions, which they would lose at 0

  explorable("partition", (root) => {
    const state = { probs: PRESETS.figure1[1], ratio: 0.85, precedence: "negative" };
    const rows = CLASSES.map((name, c) => makeRow(name, (p, base) => change({ probs: rescaled(base, c, p) }), () => state.probs));
    const losses = Object.fromEntries(["target", "negative", "positive", "sum"].map((name) => [name, el("span", { class: "ex-number" })]));
    const said = status();

    function change(changes) {
      Object.assign(state, changes);
      draw();
    }

    function draw() {
      const { probs, ratio, precedence } = state;
      const rules = core.claims(probs, ratio);
      const result = core.nonTargetLoss(probs.map(Math.log), { pseudoProbs: probs, positiveRatio: ratio, precedence });
      const scale = Math.max(1, ...result.gradient.map(Math.abs));
      rows.forEach((row, c) => row.show(probs[c], result.sets[c], -result.gradient[c], scale, whichRules(rules, probs, ratio, c)));
      for (const [name, value] of Object.entries({ ...result.terms, sum: result.loss })) losses[name].textContent = value.toFixed(2);
      said.say(inWords(result));
    }

    root.append(
      el(
        "div",
        { class: "ex-controls" },
        presetButtons((probs) => change({ probs })),
        oneOf("Where both rules claim a class", [["negative", "negative first"], ["positive", "positive first"]], state.precedence,
          (precedence) => change({ precedence })),
        range("λ, the bar for positives", { min: 0.5, max: 1, step: 0.01, value: state.ratio, format: (v) => v.toFixed(2) },
          (ratio) => change({ ratio })).element,
      ),
      el(
        "div",
        { class: "ex-rows" },
        el("div", { class: "ex-row ex-head", "aria-hidden": "true" },
          el("span", { class: "ex-name" }, "class"), el("span", { class: "ex-bar-cell" }, "probability p (drag)"),
          el("span", { class: "ex-kind" }, "subspace"), el("span", { class: "ex-pull" }, "pull on the logit")),
        ...rows.map((row) => row.element),
      ),
      el("div", { class: "ex-losses" },
        ...[["target", "ℓ tgt"], ["negative", "ℓ neg"], ["positive", "ℓ pos"], ["sum", "sum"]].map(([name, label]) =>
          el("div", { class: `ex-loss-${name}` }, el("span", { class: "ex-term" }, label), " ", losses[name]))),
      said.element,
    );
    draw();
  });

  /** The distribution with class c at p and the others in their proportions. */
  function rescaled(probs, c, p) {
    const value = Math.min(Math.max(p, 0), MOST);
    const others = probs.reduce((total, q, i) => (i === c ? total : total + q), 0);
    return probs.map((q, i) => (i === c ? value : ((1 - value) * q) / others));
  }

  function presetButtons(onChoose) {
    return el(
      "div",
      { class: "ex-buttons", role: "group", "aria-label": "Start from" },
      ...Object.entries(PRESETS).map(([key, [label, probs]]) =>
        el("button", { type: "button", "data-preset": key, click: () => onChoose(probs) }, label)),
    );
  }

  function makeRow(name, onChange, current) {
    const bar = el("span", { class: "ex-fill" });
    const reference = el("span", { class: "ex-lambda" });
    const slider = el("div", { class: "ex-bar", role: "slider", tabindex: "0", "aria-label": `p of ${name}`, "aria-valuemin": "0",
      "aria-valuemax": "99" }, bar, reference);
    const kind = el("span", { class: "ex-kind" });
    const why = el("span", { class: "ex-why" });
    const pull = el("span", { class: "ex-pull" });

    let base = null;
    onDrag(slider, (event) => {
      const box = slider.getBoundingClientRect();
      onChange((event.clientX - box.left) / box.width, base);
    }, () => (base = current()));
    slider.addEventListener("keydown", (event) => {
      const steps = keySteps(event.key);
      if (steps === null) return;
      event.preventDefault();
      onChange((Math.round(100 * Number(slider.dataset.p)) + steps) / 100, current());
    });

    function show(p, subspace, force, scale, rule) {
      slider.dataset.p = p;
      slider.setAttribute("aria-valuenow", (100 * p).toFixed(0));
      slider.setAttribute("aria-valuetext", `${(100 * p).toFixed(0)} percent, ${subspace}`);
      bar.style.width = `${100 * p}%`;
      bar.className = `ex-fill ex-${subspace}`;
      reference.style.left = `${100 * rule.bar}%`;
      kind.replaceChildren(el("span", { class: "ex-value" }, p.toFixed(2)), badge(subspace));
      why.textContent = rule.text;
      why.classList.toggle("ex-both", rule.both);
      pull.replaceChildren(arrow(force, scale), el("span", { class: "ex-value" }, signed(force)));
    }

    const element = el("div", { class: "ex-row" }, el("span", { class: "ex-name" }, name),
      el("div", { class: "ex-bar-cell" }, slider), kind, pull, why);
    return { element, show };
  }

  /** Which of Eqs. 8 and 10 a class meets, with the numbers compared, and where the bar of Eq. 10 lies. */
  function whichRules({ target, top, cumulative, negative, positive }, probs, ratio, c) {
    const bar = ratio * top;
    if (c === target) return { bar, both: false, text: "largest p" };
    const eq8 = `sum up to here ${cumulative[c].toFixed(2)} ${negative[c] ? "≤" : ">"} ${top.toFixed(2)}`;
    const eq10 = `p ${positive[c] ? "≥" : "<"} ${bar.toFixed(2)}`;
    const both = negative[c] && positive[c];
    return { bar, both, text: `${eq8}; ${eq10}${both ? ": both rules claim it" : ""}` };
  }

  function arrow(force, scale) {
    const [width, height, middle] = [72, 18, 36];
    const tip = middle + (force / scale) * (middle - 3);
    const head = Math.sign(force) * Math.min(6, Math.abs(tip - middle));
    const y = height / 2;
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, class: "ex-arrow", "aria-hidden": "true" },
      svg("line", { x1: middle, x2: middle, y1: 0, y2: height, class: "ex-zero" }),
      svg("line", { x1: middle, x2: tip - head, y1: y, y2: y, class: "ex-shaft" }),
      svg("path", { d: `M${tip} ${y} L${tip - head} ${y - 5} L${tip - head} ${y + 5} Z`, class: "ex-head-of-arrow" }));
  }

  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

  function inWords({ sets, terms, loss }) {
    const named = core.SUBSPACES.map((name) => [name, CLASSES.filter((_, c) => sets[c] === name)]);
    const parts = named.map(([name, classes]) => `${name[0].toUpperCase()}${name.slice(1)}: ${classes.join(", ") || "none"}.`);
    const values = [terms.target, terms.negative, terms.positive].map((v) => v.toFixed(2)).join(" + ");
    return `${parts.join(" ")} Loss ${values} = ${loss.toFixed(2)}.`;
  }
})();
