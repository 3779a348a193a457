"use strict";

// Pictures on canvas. A pixel of a slice becomes a square of ZOOM pixels, so that outlines are finer than fills.
Live.pictures = (() => {
  const ZOOM = 4;
  const small = document.createElement("canvas"); // a picture before it is enlarged
  const rgb = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));

  /** Scale gray values to 0..255, black and white at the 0.5 and 99.5 percentiles, as figures of the kit do. */
  function gray(image) {
    const sorted = Float32Array.from(image).sort();
    const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
    const [low, span] = [at(0.005), at(0.995) - at(0.005) || 1];
    return image.map((value) => 255 * Math.min(1, Math.max(0, (value - low) / span)));
  }

  /** Draw a slice [side, side]; kinds 1, 2 ... are filled with their colors, and the outline of `truth` is white. */
  function drawSlice(canvas, image, kinds = null, colors = [], opacity = 0.55, truth = null) {
    const [grays, fills] = [gray(image), colors.map(rgb)];
    const mixed = (pixel, part) => {
      const fill = kinds?.[pixel] ? fills[kinds[pixel] - 1] : null;
      return fill ? opacity * fill[part] + (1 - opacity) * grays[pixel] : grays[pixel];
    };
    paint(canvas, Math.sqrt(image.length), ZOOM, mixed);
    if (truth) outline(canvas.getContext("2d"), truth, Math.sqrt(image.length));
  }

  /** Draw white lines inside each class, where it meets another or the background. */
  function outline(context, truth, side) {
    context.fillStyle = "#fff";
    const differs = (pixel, x, y) => x >= 0 && y >= 0 && x < side && y < side && truth[y * side + x] !== truth[pixel];
    truth.forEach((label, pixel) => {
      if (!label) return;
      const [x, y] = [pixel % side, Math.floor(pixel / side)];
      const [left, top] = [x * ZOOM, y * ZOOM];
      if (differs(pixel, x - 1, y)) context.fillRect(left, top, 1, ZOOM);
      if (differs(pixel, x + 1, y)) context.fillRect(left + ZOOM - 1, top, 1, ZOOM);
      if (differs(pixel, x, y - 1)) context.fillRect(left, top, ZOOM, 1);
      if (differs(pixel, x, y + 1)) context.fillRect(left, top + ZOOM - 1, ZOOM, 1);
    });
  }

  /** Draw one attention map [side, side] from its lowest to its highest value, in viridis. */
  function drawMap(canvas, map) {
    const [low, high] = [Math.min(...map), Math.max(...map)];
    const colors = Live.facts.viridis;
    const level = (value) => Math.min(255, Math.floor((256 * (value - low)) / (high - low || 1)));
    paint(canvas, Math.sqrt(map.length), 1, (pixel, part) => colors[level(map[pixel])][part]);
  }

  /** Fill a canvas with [side, side] squares of `zoom` pixels; color(pixel, part) is its red, green or blue, 0..255. */
  function paint(canvas, side, zoom, color) {
    const picture = new ImageData(side, side);
    picture.data.forEach((_, i, data) => (data[i] = i % 4 === 3 ? 255 : color(i >> 2, i % 4)));
    small.width = small.height = side;
    small.getContext("2d").putImageData(picture, 0, 0);
    canvas.width = canvas.height = side * zoom;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, side * zoom, side * zoom);
  }

  /** Leave a picture black. */
  function clear(canvas) {
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  return { clear, drawMap, drawSlice };
})();
