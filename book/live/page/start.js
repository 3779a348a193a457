"use strict";

// The last script: by now every part is there.
(() => {
  /** Follow the book's choice of light or dark, which it keeps in this browser, else the system's. */
  function followTheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const system = () => (dark.matches ? "dark" : "light");
    const choose = () => {
      const mode = kept("mode");
      document.documentElement.dataset.theme = mode === "light" || mode === "dark" ? mode : system();
    };
    dark.addEventListener("change", choose);
    window.addEventListener("storage", choose);
    choose();
  }

  function kept(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null; // a browser that keeps nothing throws an error here
    }
  }

  async function start() {
    followTheme();
    if (!("DecompressionStream" in window) || !("WebAssembly" in window)) {
      Live.page.say("This browser is too old for this page: it needs WebAssembly and DecompressionStream, which browsers have since 2023.");
      document.querySelector("main").hidden = true;
      return;
    }
    Live.organs = await Live.data.organs();
    Live.state.allow(Live.organs, () => Live.ownImage.slice !== null);
    Live.page.legends();
    Live.controls.start();
    Live.state.follow();
  }

  start().catch((error) => Live.page.say(`${error.message ?? error}.`));
})();
