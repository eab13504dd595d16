/* What scrolls sideways can be reached and scrolled with the keyboard. */
(function () {
  function reachable(element, label) {
    if (!["auto", "scroll"].includes(getComputedStyle(element).overflowX) || element.matches("[tabindex]")) return;
    element.tabIndex = 0;
    if (!element.matches("table")) {
      element.setAttribute("role", "region");
      element.setAttribute("aria-label", label);
    }
  }
  window.addEventListener("load", () => {
    const wide = ".pst-scrollable-table-container, .cell_output .output, table.dataframe, div.highlight pre";
    for (const element of document.querySelectorAll(wide)) reachable(element, element.matches("pre") ? "Code" : "Table or output");
    window.MathJax?.startup?.promise?.then(() => {
      for (const element of document.querySelectorAll("div.math")) {
        if (element.scrollWidth > element.clientWidth) reachable(element, "Equation");
      }
    });
  });
})();
