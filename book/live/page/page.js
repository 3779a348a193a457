"use strict";

// The page: what is computed for a state, and where it is shown.
Live.page = (() => {
  const PANES = ["dual", "single", "unet"]; // in the order of computing: switches act on the first
  const CHANGE_COLORS = ["#009e73", "#d55e00", "#f0e442"]; // now right, now wrong, another class
  const element = (id) => document.getElementById(id);
  const known = new Map(); // labels of the slice that is shown; its key holds network, heads, stand-in and skips
  let [shownSlice, busy, again, asked] = [null, false, false, 0];
  let stopWaiting = () => {}; // for networks that are loaded

  /** Compute and show the state; what is asked for meanwhile is shown right after, and only its last state. */
  async function refresh() {
    asked = performance.now();
    again = true;
    stopWaiting();
    if (busy) return;
    busy = true;
    say("");
    try {
      while (again) {
        again = false;
        await show(Live.state.now, asked);
      }
    } catch (error) {
      fail(error);
    }
    busy = false;
  }

  async function show(state, since) {
    const organ = Live.organs[state.organ];
    const slice = state.case === "own" ? Live.ownImage.slice : organ.slices[Number(state.case) - 1];
    if (slice !== shownSlice) known.clear();
    shownSlice = slice;
    Live.controls.show(state);
    showSlice(state, organ, slice);
    const missing = PANES.filter((pane) => !Live.networks.areOpen(state.organ, networksOf(state, pane)));
    if (missing.length) {
      showLoading(organ, missing);
      Live.tries.show(state, null); // its links lead to this slice, and no answer is that of another
    }
    const shown = { state, organ, slice, panes: {} };
    for (const pane of PANES) {
      const newer = new Promise((resolve) => (stopWaiting = resolve));
      await Promise.race([Live.networks.open(state.organ, networksOf(state, pane)), newer]);
      if (again) return;
      shown.panes[pane] = await predicted(state, slice, pane);
      if (again) return;
      showPane(shown, pane);
      if (pane === "dual") await showMaps(state, slice);
    }
    showNumbers(shown);
    element("time").textContent = `${document.body.dataset.shown ? "last click:" : "opened in"} ${Math.round(performance.now() - since)} ms`;
    document.body.dataset.shown = Live.state.address(state);
  }

  /** Say that the networks of some panes are loaded, which takes its time; what was shown there is of another state. */
  function showLoading({ title }, panes) {
    element("said").textContent = `${title}: loading the networks, some seconds on a slow machine…`;
    element("time").textContent = "";
    element("dsc").replaceChildren();
    for (const pane of panes) {
      element(`${pane}Missing`).hidden = true;
      clearPane(pane);
    }
    if (!panes.includes("dual")) return;
    clear("change");
    document.querySelectorAll(".map canvas").forEach(Live.pictures.clear);
  }

  function clearPane(pane) {
    element(`${pane}Dsc`).textContent = "";
    [pane, `${pane}Errors`].forEach(clear);
  }

  function clear(id) {
    Live.pictures.clear(element(id));
    element(id).setAttribute("aria-label", "no prediction");
  }

  /** Compute the labels of a pane now and with everything on; null where no such network is here. */
  async function predicted(state, slice, pane) {
    const { everythingOn } = Live.state;
    const skips = state.mode === "cut" ? state.skips : everythingOn.skips;
    const name = networkOf(state, pane);
    const now = await labels(state.organ, slice, name, state.heads, skips, state.instead);
    const usual = await labels(state.organ, slice, usualOf(pane), everythingOn.heads, everythingOn.skips);
    return now && usual && { name, now, usual };
  }

  const usualOf = (pane) => (pane === "dual" ? "dual-1111" : pane);
  const networksOf = (state, pane) => [networkOf(state, pane), usualOf(pane)];

  /** Name the trained network of a pane, as the kit names it. */
  function networkOf(state, pane) {
    if (pane !== "dual") return pane;
    return state.mode === "trained" ? `dual-${state.skips}` : "dual-1111";
  }

  async function labels(organ, slice, name, heads, skips, instead = "") {
    const cut = heads !== Live.state.everythingOn.heads && heads + instead;
    const key = [organ, name, name !== "unet" && cut, name.startsWith("dual") && skips].join();
    if (!known.has(key)) {
      const logits = await Live.networks.logits(organ, slice, name, heads, skips, instead);
      known.set(key, logits && Live.scores.labels(logits, Live.organs[organ].classes.length + 1));
    }
    return known.get(key);
  }

  function colorsOf({ colors }, organ) {
    return colors === "safe" ? organ.safe_colors : organ.colors;
  }

  function picture(id, description, ...what) {
    const canvas = element(id);
    canvas.setAttribute("aria-label", description);
    Live.pictures.drawSlice(canvas, ...what);
  }

  function showSlice(state, organ, slice) {
    showThumbs(state, organ);
    element("sliceName").textContent = slice.name;
    picture("slice", `slice: ${slice.name}`, slice.image);
    document.body.classList.toggle("own", !slice.label);
    if (slice.label) picture("truth", `truth: ${slice.name}`, slice.image, slice.label, colorsOf(state, organ));
    const chip = (color, name) => chipped(document.createElement("span"), color, name);
    element("classes").replaceChildren(...organ.classes.map((name, i) => chip(colorsOf(state, organ)[i], name)));
  }

  function showThumbs(state, organ) {
    const slices = [...organ.slices, ...(Live.ownImage.slice ? [Live.ownImage.slice] : [])];
    const keys = slices.map((slice, i) => (slice.label ? String(i + 1) : "own"));
    const old = [...element("thumbs").children];
    const buttons = slices.map((slice, i) => thumb(slice, keys[i], state.case, old[i]));
    element("thumbs").append(...buttons.slice(old.length));
    old.slice(buttons.length).forEach((button) => button.remove());
  }

  /** Make the button of a slice, or use the one that is there, which keeps the focus. */
  function thumb(slice, key, chosen, button = document.createElement("button")) {
    if (button.slice !== slice) {
      button.slice = slice;
      button.replaceChildren(document.createElement("canvas"));
      button.setAttribute("aria-label", slice.name);
      button.title = slice.name;
      button.onclick = () => Live.state.change({ case: key });
      Live.pictures.drawSlice(button.firstChild, slice.image);
    }
    button.setAttribute("aria-pressed", key === chosen);
    return button;
  }

  function showPane({ state, organ, slice, panes }, pane) {
    const found = panes[pane];
    if (pane === "dual") {
      element("dualName").textContent = state.mode === "trained" ? networkOf(state, pane) : "Dual";
      offerTrained(state, organ, !found);
    }
    element("against").textContent = `dual encoder, against ${usually(state)}`;
    element(`${pane}Missing`).hidden = Boolean(found);
    for (const kind of ["", "Errors"]) element(pane + kind).classList.toggle("empty", !found);
    if (!found) {
      clearPane(pane);
      if (pane === "dual") picture("change", "no prediction to compare", slice.image);
      return;
    }
    picture(pane, `prediction of ${found.name}`, slice.image, found.now, colorsOf(state, organ), 0.55, slice.label);
    if (slice.label) {
      const errors = Live.scores.errors(slice.label, found.now);
      picture(`${pane}Errors`, `errors of ${found.name}`, slice.image, errors, Object.values(Live.facts.errors), 0.8);
    }
    if (pane === "dual") {
      const changes = Live.scores.changes(found.usual, found.now, slice.label);
      picture("change", `what changed in ${found.name}`, slice.image, changes, CHANGE_COLORS, 0.8);
    }
  }

  async function showMaps(state, slice) {
    const maps = await Live.networks.maps(state.organ, slice);
    const size = slice.image.length;
    document.querySelectorAll(".map canvas").forEach((canvas, head) => {
      Live.pictures.drawMap(canvas, maps.subarray(head * size, (head + 1) * size));
    });
  }

  /** Where the chosen network was not trained, name the nearest that were. */
  function offerTrained(state, organ, isMissing) {
    element("offers").hidden = !isMissing;
    if (!isMissing) return;
    const trained = Object.keys(organ.networks).flatMap((name) => /^dual-([01]{4})$/.exec(name)?.[1] ?? []);
    const distance = (skips) => [...skips].filter((digit, i) => digit !== state.skips[i]).length;
    const buttons = trained.sort((a, b) => distance(a) - distance(b)).map((skips) => {
      const button = document.createElement("button");
      button.textContent = `dual-${skips}`;
      button.addEventListener("click", () => Live.state.change({ skips }));
      return button;
    });
    element("offersButtons").replaceChildren(...buttons);
  }

  function showNumbers({ state, organ, slice, panes }) {
    const { rows, means } = Live.table.compare(organ, slice, panes, colorsOf(state, organ));
    element("dsc").replaceChildren(...rows);
    for (const pane of PANES) {
      if (panes[pane]) element(`${pane}Dsc`).textContent = slice.label ? `DSC ${Live.table.percent(means[pane].now)}` : "";
    }
    element("said").textContent = inWords(state, panes.dual, means.dual, organ);
    Live.tries.show(state, panes.dual && means.dual);
  }

  /** Name what a state is compared with. */
  function usually({ mode }) {
    return mode === "trained" ? "dual-1111" : "everything on";
  }

  function inWords(state, dual, mean, organ) {
    if (!dual) return `No network dual-${state.skips} was trained for this page.`;
    const changed = Live.scores.count(Live.scores.changes(dual.usual, dual.now, null));
    const moved = `${changed} of ${organ.size ** 2} pixels differ from ${usually(state)}`;
    if (!mean) return `Dual encoder: ${moved}.`;
    return `Dual encoder: mean DSC ${Live.table.percent(mean.now)}, ${Live.table.points(mean.now - mean.usual)} points; ${moved}.`;
  }

  function chipped(parent, color, words) {
    const chip = document.createElement("i");
    chip.className = "chip";
    chip.style.background = color;
    parent.append(chip, words);
    return parent;
  }

  /** Show a sentence about something that did not work; "" hides it. */
  function say(words) {
    element("problem").textContent = words;
    element("problem").hidden = !words;
  }

  /** Say that the page itself does not work: what it told before is no longer true. */
  function fail(error) {
    say(`${error.message ?? error}.`);
    element("said").textContent = "";
  }

  /** Explain the colors of errors and changes. */
  function legends() {
    const { missed, added, other } = Live.facts.errors;
    const fill = (id, names) => names.forEach(([color, name]) => element(id).append(chipped(document.createElement("span"), color, name)));
    fill("errorsLegend", [[missed, "missed"], [added, "added"], [other, "another class"]]);
    fill("changeLegend", ["now right", "now wrong", "other"].map((name, i) => [CHANGE_COLORS[i], name]));
  }

  return { chipped, fail, legends, refresh, say };
})();
