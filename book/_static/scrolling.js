/* What scrolls sideways can be reached and scrolled with the keyboard. */
window.addEventListener("load", () => {
  const wide = ".pst-scrollable-table-container, .cell_output .output, table.dataframe, div.highlight pre";
  for (const element of document.querySelectorAll(wide)) {
    if (!["auto", "scroll"].includes(getComputedStyle(element).overflowX) || element.matches("[tabindex]")) continue;
    element.tabIndex = 0;
    if (!element.matches("table")) {
      element.setAttribute("role", "region");
      element.setAttribute("aria-label", element.matches("pre") ? "Code" : "Table or output");
    }
  }
});
