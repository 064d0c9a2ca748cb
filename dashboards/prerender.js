// Runs right behind the prerendered page: makes its controls load the page anew, and removes it once marimo's page,
// which is built unseen in the same place, is complete and its charts are drawn.
(() => {
  const prerendered = document.getElementById("prerendered");
  prerendered.addEventListener("change", (event) => {
    const address = new URL(location.href);
    const range = [...prerendered.querySelectorAll("input[name=range]")].map((day) => day.value);
    if (event.target.name === "range") address.searchParams.set("period", range.join(".."));
    else address.searchParams.set(event.target.name, event.target.value);
    location.assign(address);
  });
  // Two frames later the prerendered page is on the screen: now marimo may load, its styles before the page's own.
  const deferred = document.getElementById("deferred");
  requestAnimationFrame(() => requestAnimationFrame(() => document.head.prepend(deferred.content.cloneNode(true))));
  const root = () => document.getElementById("root");
  const drawn = (figure) =>
    [...figure.children].every((part) => !part.shadowRoot || part.shadowRoot.querySelector("svg.marks"));
  const began = performance.now();
  let complete = 0;
  const replaceWhenComplete = () => {
    const last = root()?.querySelector(".page-footer");
    complete = last ? complete || performance.now() : 0;
    if (last && ([...root().querySelectorAll("figure")].every(drawn) || performance.now() - complete > 4000)) {
      const read = scrollY;
      prerendered.remove();
      let pane = last;
      while (pane && !(pane.scrollHeight > pane.clientHeight && /auto|scroll/.test(getComputedStyle(pane).overflowY))) {
        pane = pane.parentElement;
      }
      (pane ?? document.documentElement).scrollTop = read;
      performance.mark("live");
    } else if (performance.now() - began < 120000) {
      setTimeout(replaceWhenComplete, 30);
    }
  };
  replaceWhenComplete();
})();
