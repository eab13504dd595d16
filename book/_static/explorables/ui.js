/* What the explorables share: elements, controls, and drawing again when the width or the colours change. */
(function () {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const LETTERS = { target: "T", positive: "P", negative: "N", ambiguous: "A" };
  let serial = 0;

  /** An element; attributes that are functions are listeners, children may be text. */
  function el(tag, attributes = {}, ...children) {
    return fill(document.createElement(tag), attributes, children);
  }

  function svg(tag, attributes = {}, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
  }

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") element.addEventListener(name, value);
      else if (value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const uid = (prefix) => `ex-${prefix}-${++serial}`;

  /** A labelled range; its value is written beside the label. */
  function range(label, { min, max, step, value, format }, onInput) {
    const id = uid("range");
    const output = el("output", { for: id }, format(value));
    const input = el("input", { type: "range", id, min, max, step, value });
    const text = el("span", {}, label);
    const show = () => {
      output.textContent = format(Number(input.value));
      input.setAttribute("aria-valuetext", output.textContent);
    };
    input.addEventListener("input", () => {
      show();
      onInput(Number(input.value));
    });
    show();
    const element = el("div", { class: "ex-range" }, el("label", { for: id }, text, " ", output), input);
    const set = (settings) => {
      if (settings.label) text.textContent = settings.label;
      for (const name of ["min", "max", "step"]) if (name in settings) input[name] = settings[name];
      input.value = settings.value;
      show();
    };
    return { element, set };
  }

  /** One of several: radio buttons side by side. choices: [[value, label]]. */
  function oneOf(legend, choices, value, onChange) {
    const name = uid("radio");
    return el(
      "fieldset",
      { class: "ex-choices" },
      el("legend", {}, legend),
      ...choices.map(([choice, label]) =>
        pill(label, { type: "radio", name, value: choice, checked: choice === value ? "" : null }, () => onChange(choice)),
      ),
    );
  }

  /** Any of several: checkboxes side by side. onChange gets the chosen values, in the order of the choices. */
  function anyOf(legend, choices, chosen, onChange) {
    const boxes = choices.map(([choice, label, mark]) =>
      pill(label, { type: "checkbox", value: choice, checked: chosen.includes(choice) ? "" : null }, report, mark),
    );
    function report() {
      onChange(choices.map(([choice]) => choice).filter((_, i) => boxes[i].querySelector("input").checked));
    }
    return el("fieldset", { class: "ex-choices" }, el("legend", {}, legend), ...boxes);
  }

  function pill(label, attributes, onChange, mark = null) {
    return el("label", { class: "ex-pill" }, el("input", { ...attributes, change: onChange }), el("span", {}, mark, label));
  }

  function select(label, choices, value, onChange) {
    const id = uid("select");
    const options = choices.map(([choice, text]) => el("option", { value: choice, selected: choice === value ? "" : null }, text));
    const element = el("select", { id, change: (event) => onChange(event.target.value) }, ...options);
    return el("div", { class: "ex-select" }, el("label", { for: id }, label), element);
  }

  /** The letter of a subspace on its colour. */
  function badge(name) {
    return el("span", { class: `ex-badge ex-${name}` }, el("b", { "aria-hidden": "true" }, LETTERS[name]), ` ${name}`);
  }

  /** The result in words, read aloud once the reader pauses. */
  function status() {
    const element = el("p", { class: "ex-status", role: "status", "aria-live": "polite" });
    let timer = null;
    const say = (text) => {
      clearTimeout(timer);
      timer = setTimeout(() => (element.textContent = text), element.textContent ? 200 : 0);
    };
    return { element, say };
  }

  /** Call draw(width) now and whenever the element's width or the page's colours change. */
  function onResize(element, draw) {
    let width = 0;
    const again = () => element.clientWidth && draw(element.clientWidth);
    new ResizeObserver(() => {
      if (element.clientWidth !== width) {
        width = element.clientWidth;
        again();
      }
    }).observe(element);
    new MutationObserver(again).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    again();
  }

  /** Change in value that a key asks for, in steps; null for another key. */
  function keySteps(key) {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity };
    return key in steps ? steps[key] : null;
  }

  /** Follow a pointer from where it is pressed on the element until it is let go. */
  function onDrag(element, move, begin = () => {}) {
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      element.setPointerCapture(event.pointerId);
      begin(event);
      move(event);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && move(event));
  }

  /** Build every explorable of a name on the page: its data, and an empty place for it. */
  function explorable(name, build) {
    const start = () => {
      for (const root of document.querySelectorAll(`[data-explorable="${name}"]`)) {
        const inline = root.querySelector('script[type="application/json"]');
        const data = inline ? JSON.parse(inline.textContent) : null;
        root.replaceChildren();
        root.classList.add("ex-ready");
        build(root, data);
      }
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
    else queueMicrotask(start); // a deferred script: after the rest of it
  }

  window.nontargetUi = { el, svg, range, oneOf, anyOf, select, badge, status, onResize, onDrag, keySteps, explorable, LETTERS };
})();
