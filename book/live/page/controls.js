"use strict";

// What a visitor can press, and what it changes in the state. No control knows what is drawn.
Live.controls = (() => {
  const HEADS = 6;
  const CUT = "One network, trained with everything on. This shows what it relies on:";
  const NOTES = {
    zero: `${CUT} what is off enters as zeros, which it never saw.`,
    mean: `${CUT} the map of a head that is off enters as its own mean, a skip as zeros.`,
    other: `${CUT} a head that is off enters as its map of the next slice, another patient's; a skip as zeros.`,
    trained: "Another network, trained with exactly these skips, so its weights could adapt. Heads are all on.",
  };
  const element = (id) => document.getElementById(id);

  /** Make the buttons that depend on the data, and listen to all of them. */
  function start() {
    chosenByRadio("organ", (organ) => Live.state.change({ organ, case: Live.state.now.case === "own" ? "own" : "1" }));
    chosenByRadio("mode", (mode) => Live.state.change({ mode }));
    element("instead").addEventListener("change", ({ target }) => Live.state.change({ instead: target.value }));
    element("safe").addEventListener("change", ({ target }) => Live.state.change({ colors: target.checked ? "safe" : "usual" }));
    element("back").addEventListener("click", () => step(-1));
    element("forward").addEventListener("click", () => step(1));
    element("everything").addEventListener("click", () => Live.state.change(Live.state.everythingOn));
    for (let head = 0; head < HEADS; head++) element("maps").append(mapButton(head));
    Live.facts.switches.forEach(placeSwitch);
    for (const item of document.querySelectorAll("#tries li")) {
      const link = item.querySelector("a");
      item.querySelector("input").addEventListener("keydown", ({ key }) => key === "Enter" && link.click());
      link.addEventListener("click", () => link.hash === location.hash && Live.page.refresh()); // for another guess
    }
    listenForPictures();
    document.addEventListener("keydown", onKey);
    window.addEventListener("hashchange", Live.state.follow);
  }

  function chosenByRadio(name, then) {
    for (const radio of document.getElementsByName(name)) radio.addEventListener("change", () => then(radio.value));
  }

  function mapButton(head) {
    const button = document.createElement("button");
    button.className = "map";
    button.dataset.head = head;
    button.append(document.createElement("canvas"), document.createElement("span"));
    button.addEventListener("click", () => Live.state.toggle("heads", head));
    return button;
  }

  /** Put switch (number + 1) on its line of the drawing; places are in percent of the drawing. */
  function placeSwitch([left, top], number) {
    const button = document.createElement("button");
    button.className = "switch";
    button.setAttribute("role", "switch");
    button.setAttribute("aria-label", `skip (${number + 1}) of the attention encoder`);
    button.textContent = `(${number + 1})`;
    [button.style.left, button.style.top] = [`${left}%`, `${top}%`];
    button.addEventListener("click", () => Live.state.toggle("skips", number));
    element("drawing").append(button);
  }

  function step(by) {
    const { organ, case: shown } = Live.state.now;
    const count = Live.organs[organ].slices.length;
    const next = shown === "own" ? (by > 0 ? 1 : count) : ((Number(shown) - 1 + by + count) % count) + 1;
    Live.state.change({ case: String(next) });
  }

  /** Keys: 1 to 6 heads, q w e r or Shift and 1 to 4 skips, arrows slices, 0 everything on. */
  function onKey(event) {
    const field = event.target.closest("input, select")?.type;
    const isFields = field === "text" || (["radio", "select-one"].includes(field) && event.key.startsWith("Arrow")); // it has a use there
    if (event.ctrlKey || event.metaKey || event.altKey || isFields) return;
    const digit = /^(?:Digit|Numpad)([0-6])$/.exec(event.code)?.[1];
    const skip = event.shiftKey && digit ? Number(digit) - 1 : "qwer".indexOf(event.key.toLowerCase());
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") step(event.key === "ArrowLeft" ? -1 : 1);
    else if (digit === "0") Live.state.change(Live.state.everythingOn);
    else if (skip >= 0 && skip < 4 && event.key.length === 1) Live.state.toggle("skips", skip);
    else if (digit && !event.shiftKey && Live.state.now.mode === "cut") Live.state.toggle("heads", Number(digit) - 1);
    else return;
    event.preventDefault();
  }

  function listenForPictures() {
    element("file").addEventListener("change", ({ target }) => {
      openPicture(target.files);
      target.value = ""; // so that the same file can be chosen again
    });
    document.addEventListener("dragover", (event) => event.preventDefault());
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      openPicture(event.dataTransfer.files);
    });
    document.addEventListener("paste", (event) => openPicture(event.clipboardData.files));
    for (const how of ["turn", "flip", "crop"]) {
      element(how).addEventListener("click", () => {
        Live.ownImage.move(how);
        Live.state.change({ case: "own" });
      });
    }
    element("forget").addEventListener("click", () => {
      Live.ownImage.forget();
      Live.state.change({ case: "1" });
    });
  }

  let opened = Promise.resolve(); // the pictures so far: one after the other, so that the last one stays

  function openPicture([file]) {
    if (file) opened = opened.then(() => readPicture(file));
  }

  async function readPicture(file) {
    try {
      await Live.ownImage.read(file);
      Live.page.say("");
      Live.state.change({ case: "own" });
    } catch (error) {
      Live.page.say(`${error.message}.`);
    }
  }

  /** Show the state on the controls. */
  function show(state) {
    const trained = state.mode === "trained";
    for (const name of ["organ", "mode"]) {
      for (const radio of document.getElementsByName(name)) radio.checked = radio.value === state[name];
    }
    element("safe").checked = state.colors === "safe";
    element("instead").value = state.instead;
    element("instead").disabled = trained;
    document.querySelectorAll(".map").forEach((button, head) => {
      button.disabled = trained;
      button.setAttribute("aria-pressed", state.heads[head] === "1");
      button.setAttribute("aria-label", `attention map of head ${head + 1}`);
      button.querySelector("span").textContent = `Head ${head + 1}`;
    });
    document.querySelectorAll(".switch").forEach((button, number) => {
      button.setAttribute("aria-checked", state.skips[number] === "1");
    });
    showDrawing(state);
    element("note").textContent = NOTES[trained ? "trained" : state.instead];
    element("ownTools").hidden = state.case !== "own";
    element("kept").textContent = Live.ownImage.kept ? "until you close this tab" : "and is lost on reloading: it is too large to be kept";
    element("crop").setAttribute("aria-pressed", Live.ownImage.cropped);
  }

  /** Dash the lines of the drawing on which nothing flows. */
  function showDrawing(state) {
    const lines = [...document.querySelectorAll("#drawing line.switched")]; // full resolution first
    Live.facts.switches.forEach(([, , row], number) => light(lines[row], state.skips[number] === "1"));
    const count = [...state.heads].filter((digit) => digit === "1").length;
    const words = [...document.querySelectorAll("#drawing text")].find((text) => text.textContent.endsWith(" maps"));
    words.textContent = `${count} of ${HEADS} maps`;
    const on = [...state.skips].flatMap((digit, number) => (digit === "1" ? [`(${number + 1})`] : [])).join(", ") || "none";
    const told = `Dual encoder; ${words.textContent}; skips of the attention encoder on: ${on}`;
    document.querySelector("#drawing svg").setAttribute("aria-label", told);
    light(document.querySelector(`#drawing line[x1="${words.getAttribute("x")}"]`), count > 0); // the first leads from them
  }

  function light(line, on) {
    line.classList.toggle("on", on);
    line.classList.toggle("off", !on);
  }

  return { show, start };
})();
