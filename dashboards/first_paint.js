// Runs right behind the first paint: makes its controls load the page anew, and takes it away once marimo's page,
// which builds up unseen in the same place, is complete and its charts are drawn.
(() => {
  const first = document.getElementById("first");
  first.addEventListener("change", (event) => {
    const address = new URL(location.href);
    const range = [...first.querySelectorAll("input[name=range]")].map((day) => day.value);
    if (event.target.name === "range") address.searchParams.set("period", range.join(".."));
    else address.searchParams.set(event.target.name, event.target.value);
    location.assign(address);
  });
  // Two frames later the first paint is on the screen: now marimo may load, its styles in front of the page's own.
  const later = document.getElementById("later");
  requestAnimationFrame(() => requestAnimationFrame(() => document.head.prepend(later.content.cloneNode(true))));
  const root = () => document.getElementById("root");
  const drawn = (figure) =>
    [...figure.children].every((part) => !part.shadowRoot || part.shadowRoot.querySelector("svg.marks"));
  const began = performance.now();
  let complete = 0;
  const look = () => {
    const done = root()?.querySelector(".colophon");
    complete = done ? complete || performance.now() : 0;
    if (done && ([...root().querySelectorAll("figure")].every(drawn) || performance.now() - complete > 4000)) {
      const read = scrollY;
      first.remove();
      let pane = done;
      while (pane && !(pane.scrollHeight > pane.clientHeight && /auto|scroll/.test(getComputedStyle(pane).overflowY))) {
        pane = pane.parentElement;
      }
      (pane ?? document.documentElement).scrollTop = read;
      performance.mark("live");
    } else if (performance.now() - began < 120000) {
      setTimeout(look, 30);
    }
  };
  look();
})();
