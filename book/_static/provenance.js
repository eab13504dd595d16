/* The run button opens "How this page was made", on the same page. */
window.addEventListener("load", () => {
  const open = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) {
      target.open = true;
      target.scrollIntoView();
    }
  };
  for (const link of document.querySelectorAll('a[href^="#how-"][target]')) {
    link.removeAttribute("target");
    link.addEventListener("click", () => setTimeout(open));
  }
  window.addEventListener("hashchange", open);
  open();
});
