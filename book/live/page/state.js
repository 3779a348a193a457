"use strict";

// What is chosen, as the address holds it: #organ=heart&case=3&heads=111011&skips=0111&mode=cut&instead=mean
Live.state = (() => {
  const everythingOn = { heads: "111111", skips: "1111" };
  const leftOut = { colors: "usual", instead: "zero" }; // of the address, since they are seldom changed
  let chosen = null;
  let allowed = {}; // key -> does a value make sense in this state?

  /** Say which organs and slices there are; `ownImage` says whether a picture of the visitor is there. */
  function allow(organs, ownImage) {
    const isCase = (value, { organ }) => /^[1-9]\d*$/.test(value) && Number(value) <= organs[organ].slices.length;
    allowed = {
      organ: (value) => Object.hasOwn(organs, value),
      case: (value, state) => isCase(value, state) || (value === "own" && ownImage()),
      heads: (value) => /^[01]{6}$/.test(value),
      skips: (value) => /^[01]{4}$/.test(value),
      mode: (value) => ["cut", "trained"].includes(value),
      instead: (value) => ["zero", "mean", "other"].includes(value),
      colors: (value) => ["usual", "safe"].includes(value),
    };
  }

  /** Read an address; what it leaves out, or what makes no sense, is as at the start. */
  function parse(hash) {
    const state = { organ: Object.keys(Live.organs)[0], case: "1", ...everythingOn, mode: "cut", ...leftOut };
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    for (const [key, makesSense] of Object.entries(allowed)) {
      if (given.has(key) && makesSense(given.get(key), state)) state[key] = given.get(key);
    }
    return state;
  }

  /** Write a state as the end of an address. */
  function address(state) {
    return "#" + new URLSearchParams(Object.entries(state).filter(([key, value]) => value !== leftOut[key]));
  }

  /** Return what is shown: a trained network has all heads on, and those that were cut wait for the way back. */
  function now() {
    return chosen.mode === "trained" ? { ...chosen, heads: everythingOn.heads, instead: leftOut.instead } : chosen;
  }

  /** Change some entries, and the address with them. */
  function change(patch) {
    chosen = { ...chosen, ...patch };
    history.replaceState(null, "", address(now()));
    Live.page.refresh();
  }

  /** Take the state from the address, and write there what was understood. */
  function follow() {
    change(parse(location.hash));
  }

  /** Turn one of the digits of `heads` or `skips`. */
  function toggle(key, place) {
    const digits = [...chosen[key]];
    digits[place] = digits[place] === "1" ? "0" : "1";
    change({ [key]: digits.join("") });
  }

  return { address, allow, change, everythingOn, follow, toggle, get now() { return now(); } };
})();
