"use strict";

// The visitor's picture in the storage of this tab, so that it is still there after the page is loaded again.
Live.keptImage = (() => {
  const KEY = "dainet-own-picture";
  const FIRST = 256; // the letter of gray value 0: one letter a pixel, none of which JSON has to escape

  /** Keep a gray picture and how it lies; returns whether the browser has room for it, about 5 million pixels. */
  function keep({ values, width, height }, lying) {
    try {
      const letters = new TextDecoder("utf-16le").decode(new Uint16Array(values).map((value) => FIRST + value));
      sessionStorage.setItem(KEY, JSON.stringify({ letters, width, height, lying }));
      return true;
    } catch {
      forget(); // a picture that was kept before is no longer the one that is shown
      return false;
    }
  }

  /** Return { gray, lying } as they were kept, or null. */
  function restore() {
    let text;
    try {
      text = sessionStorage.getItem(KEY);
    } catch {
      return null; // a browser that keeps nothing throws an error here
    }
    if (!text) return null;
    const { letters, width, height, lying } = JSON.parse(text);
    const values = new Float32Array(letters.length).map((_, i) => letters.charCodeAt(i) - FIRST);
    return { gray: { values, width, height }, lying };
  }

  function forget() {
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // nothing is kept, so there is nothing to forget
    }
  }

  return { forget, keep, restore };
})();
