"use strict";

// Things to try: a question, a guess, and then what was found. Each is a link to a state of this page.
Live.tries = (() => {
  /** Let the links lead to the slice that is shown, and answer the one whose setting is shown. */
  function show(state, mean) {
    for (const item of document.querySelectorAll("#tries li")) {
      const patch = { heads: item.dataset.heads, skips: item.dataset.skips, mode: item.dataset.mode, instead: item.dataset.instead };
      item.querySelector("a").href = Live.state.address({ ...state, ...patch });
      const isShown = Object.entries(patch).every(([key, value]) => state[key] === value);
      const answer = item.querySelector(".answer");
      answer.hidden = !(isShown && mean);
      if (!answer.hidden) item.querySelector("output").textContent = found(item.querySelector("input").value, mean);
    }
  }

  function found(guess, mean) {
    const result = `Found: ${Live.table.points(mean.now - mean.usual)} points on this slice.`;
    const number = Number(guess.replace(",", ".").replace(/[−–]/, "-"));
    return guess.trim() && Number.isFinite(number) ? `You predicted ${Live.table.points(number / 100)}. ${result}` : result;
  }

  return { show };
})();
