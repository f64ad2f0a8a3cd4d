// Live reload and the overlay of `elias dev`. It is only there in development.
(() => {
  // The version that made this page; it may have been exchanged before this script runs.
  let served = document.currentScript.dataset.version || null;
  let overlay;

  const hide = () => {
    overlay?.remove();
    overlay = undefined;
  };

  const show = (problem) => {
    hide();
    overlay = document.createElement("elias-overlay");
    const root = overlay.attachShadow({ mode: "open" });
    const style = document.createElement("style");
    style.textContent =
      ":host{position:fixed;inset:0;z-index:2147483647;background:#000c;overflow:auto;color:#eee}" +
      "main{max-width:60rem;margin:3rem auto;padding:1rem 1.5rem;background:#1b1b1f;border-top:4px solid #f55;border-radius:.5rem;" +
      "font:16px/1.5 system-ui,sans-serif}h1{font-size:1.2rem;margin:.2rem 0 1rem}" +
      "button{float:right;font:inherit}small{opacity:.7}";
    const main = document.createElement("main");
    main.setAttribute("role", "alertdialog");
    const close = document.createElement("button");
    close.textContent = "Close";
    close.onclick = hide;
    const heading = document.createElement("h1");
    heading.textContent = "The newest version cannot be served";
    // In the page's own tree, where whoever reads the page finds it.
    const text = document.createElement("pre");
    text.style.cssText = "all:initial;display:block;overflow:auto;white-space:pre;font:13px/1.45 ui-monospace,monospace;color:#eee";
    text.textContent = problem;
    overlay.append(text);
    const note = document.createElement("small");
    note.textContent = "This goes away by itself when the build succeeds. Until then the last good version serves.";
    main.append(close, heading, document.createElement("slot"), note);
    root.append(style, main);
    document.documentElement.append(overlay);
  };

  const events = new EventSource("/__elias/events");
  events.onmessage = ({ data }) => {
    const { version, problem } = JSON.parse(data);
    if (version !== served) {
      served = version;
      // Once for each version: a page from a cache would be loaded for ever.
      const reloaded = "elias-reloaded";
      if (version !== null && sessionStorage.getItem(reloaded) !== version) {
        sessionStorage.setItem(reloaded, version);
        return location.reload();
      }
    }
    if (problem === null) hide();
    else if (version !== null) show(problem);
  };
})();
