"use strict";

// The table of DSC: now, and how it differs from everything on.
Live.table = (() => {
  const NETWORKS = { unet: "U-Net", single: "Single", dual: "Dual" };

  /**
   * Compare the networks on a slice.
   *
   * Returns `rows` of the table, and `means`: pane -> { now, usual }, shares of DSC; neither for a slice without truth.
   */
  function compare(organ, slice, panes, colors) {
    if (!slice.label) return { rows: [], means: {} };
    const count = organ.classes.length + 1;
    const scores = {};
    for (const [pane, found] of Object.entries(panes)) {
      const dsc = (labels) => Live.scores.dsc(slice.label, labels, count);
      scores[pane] = found && { now: dsc(found.now), usual: dsc(found.usual) };
    }
    const names = [...organ.classes, "mean"];
    const rows = names.map((name, i) => row(name, colors[i], Object.keys(NETWORKS).map((pane) => cell(scores[pane], i))));
    const mean = ({ now, usual }) => ({ now: now.at(-1), usual: usual.at(-1) });
    const means = Object.entries(scores).map(([pane, score]) => [pane, score && mean(score)]);
    return { rows: [heading(), ...rows, volumes(organ, panes)], means: Object.fromEntries(means) };
  }

  function heading() {
    return filled("tr", ["DSC in %", ...Object.values(NETWORKS)].map((words) => filled("th", [words], "col")));
  }

  function row(name, color, cells) {
    const title = filled("th", color ? [] : [name], "row");
    if (color) Live.page.chipped(title, color, name);
    return filled("tr", [title, ...cells]);
  }

  function cell(score, i) {
    if (!score) return filled("td", ["none ", filled("span", [])]);
    const difference = score.now[i] - score.usual[i];
    const change = filled("span", [Number.isNaN(difference) ? appeared(score.now[i], score.usual[i]) : arrow(difference)]);
    change.className = difference > 0.0005 ? "up" : difference < -0.0005 ? "down" : "same";
    return filled("td", [percent(score.now[i]), " ", change]);
  }

  /** Say of a class that only one of two states holds what the other had: it enters or leaves the mean. */
  function appeared(now, usual) {
    if (Number.isNaN(now) && Number.isNaN(usual)) return "";
    return `was ${percent(usual)}`;
  }

  /** The kit's own score of the same networks: over whole test volumes on their native grid. */
  function volumes(organ, panes) {
    const values = Object.keys(NETWORKS).map((pane) => organ.networks[panes[pane]?.name]?.dsc);
    const cells = values.map((value) => filled("td", [value === undefined ? "none" : value.toFixed(1), " ", filled("span", [])]));
    const line = row("all test patients", null, cells);
    line.className = "volumes";
    line.title = "mean of whole test volumes on their native grid, everything on: the kit's tables";
    return line;
  }

  function filled(tag, children, scope) {
    const node = document.createElement(tag);
    if (scope) node.scope = scope;
    node.append(...children);
    return node;
  }

  /** Write a share in percent; "–" where neither truth nor prediction holds the class. */
  function percent(share) {
    return Number.isNaN(share) ? "–" : (100 * share).toFixed(1);
  }

  /** Write a difference of shares in points, with its sign. */
  function points(difference) {
    const rounded = Math.round(1000 * difference) / 10;
    return rounded > 0 ? `+${rounded.toFixed(1)}` : rounded < 0 ? `−${(-rounded).toFixed(1)}` : "±0.0";
  }

  function arrow(difference) {
    const words = points(difference);
    return words === "±0.0" ? "=" : words.replace("+", "▲").replace("−", "▼");
  }

  return { compare, percent, points };
})();
