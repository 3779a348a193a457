"use strict";

// The last script: by now every part is there.
(() => {
  // The smallest module with instructions on vectors: splat a number, and count the bits of its bytes.
  const USES_SIMD = Uint8Array.from([
    ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
    ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
  ]);

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
    if (!("DecompressionStream" in window) || !("WebAssembly" in window) || !WebAssembly.validate(USES_SIMD)) {
      Live.page.say("This browser is too old for this page: it needs WebAssembly with SIMD and DecompressionStream, which browsers have since 2023.");
      document.querySelector("main").hidden = true;
      return;
    }
    Live.organs = await Live.data.organs();
    Live.ownImage.restore();
    Live.state.allow(Live.organs, () => Live.ownImage.slice !== null);
    Live.page.legends();
    Live.controls.start();
    Live.state.follow();
  }

  start().catch(Live.page.fail);
})();
