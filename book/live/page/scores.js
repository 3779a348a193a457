"use strict";

// Labels from logits, and what two labels have in common.
Live.scores = (() => {
  /** Return the class of the largest of the logits [classes, pixels] in every pixel; the first of equal ones. */
  function labels(logits, classes) {
    const pixels = logits.length / classes;
    const found = new Uint8Array(pixels);
    for (let c = 1; c < classes; c++) {
      for (let i = 0; i < pixels; i++) if (logits[c * pixels + i] > logits[found[i] * pixels + i]) found[i] = c;
    }
    return found;
  }

  /** Return the DSC of every class but the background, NaN where neither label holds it, and then their mean. */
  function dsc(truth, prediction, classes) {
    const [inTruth, inPrediction, inBoth] = [0, 1, 2].map(() => new Array(classes).fill(0));
    truth.forEach((label, pixel) => {
      inTruth[label]++;
      inPrediction[prediction[pixel]]++;
      if (label === prediction[pixel]) inBoth[label]++;
    });
    const each = inBoth.map((both, c) => (2 * both) / (inTruth[c] + inPrediction[c])).slice(1);
    const known = each.filter((value) => !Number.isNaN(value));
    return [...each, known.reduce((sum, value) => sum + value, 0) / known.length];
  }

  /** Classify errors: 0 right, 1 missed, 2 added, 3 another class. */
  function errors(truth, prediction) {
    return truth.map((label, i) => (label === prediction[i] ? 0 : prediction[i] === 0 ? 1 : label === 0 ? 2 : 3));
  }

  /** Classify changes: 0 none, 1 became right, 2 became wrong, 3 another class, but wrong as before (or no truth). */
  function changes(before, now, truth) {
    return now.map((label, i) => {
      if (label === before[i]) return 0;
      return !truth ? 3 : label === truth[i] ? 1 : before[i] === truth[i] ? 2 : 3;
    });
  }

  /** Count the entries that are not 0. */
  function count(kinds) {
    return kinds.reduce((sum, kind) => sum + (kind !== 0), 0);
  }

  return { changes, count, dsc, errors, labels };
})();
