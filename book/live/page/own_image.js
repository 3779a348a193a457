"use strict";

// A gray picture of the visitor, prepared as the kit prepares slices: min-max, then cubic splines. It stays in this browser.
Live.ownImage = (() => {
  const LARGEST = 4096; // px of a side; a larger picture would take long, and more memory than a phone has
  let gray = null; // { values, width, height } as the file holds it
  const AS_GIVEN = { turns: 0, flipped: false, cropped: false };
  let lying = AS_GIVEN;
  let slice = null;
  let kept = false; // will it be here after the page is loaded again?

  /** Read a picture file; throws an error with a sentence for the visitor. */
  async function read(file) {
    let bitmap;
    try {
      bitmap = await createImageBitmap(file, { colorSpaceConversion: "none" });
    } catch {
      throw new Error(`${file.name || "This"} is not a picture that this browser can read; give a PNG or JPEG`);
    }
    if (Math.max(bitmap.width, bitmap.height) > LARGEST) {
      throw new Error(`This picture has ${bitmap.width} x ${bitmap.height} pixels; give one of at most ${LARGEST} a side`);
    }
    const values = grayValues(bitmap);
    if (values.every((value) => value === values[0])) throw new Error("This picture has one gray value everywhere; choose another");
    gray = { values, width: bitmap.width, height: bitmap.height };
    lying = AS_GIVEN;
    prepare();
  }

  /** Take the picture that this tab has kept, if there is one. */
  function restore() {
    const found = Live.keptImage.restore();
    if (!found) return;
    ({ gray, lying } = found);
    prepare();
  }

  /** Remove the picture. */
  function forget() {
    gray = slice = null;
    Live.keptImage.forget();
  }

  /** Change how the picture lies: "turn" by 90 degrees to the right, "flip" left and right, or "crop" to a square. */
  function move(how) {
    const { turns, flipped, cropped } = lying;
    if (how === "turn") lying = { ...lying, turns: (turns + 1) % 4 };
    if (how === "flip") lying = { ...lying, flipped: !flipped };
    if (how === "crop") lying = { ...lying, cropped: !cropped };
    prepare();
  }

  function grayValues(bitmap) {
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    // Luma of ITU-R BT.601, as Pillow's mode L; equal channels stay exact.
    return Float32Array.from({ length: data.length / 4 }, (_, i) =>
      Math.round((299 * data[4 * i] + 587 * data[4 * i + 1] + 114 * data[4 * i + 2]) / 1000),
    );
  }

  function prepare() {
    let picture = gray;
    if (lying.cropped) picture = middle(picture);
    for (let i = 0; i < lying.turns; i++) picture = turned(picture);
    if (lying.flipped) picture = mirrored(picture);
    const { size, vit_size } = Object.values(Live.organs)[0];
    const scaled = minMax(picture);
    slice = { name: "your own picture", image: resize(scaled, size), vitImage: resize(scaled, vit_size), label: null };
    kept = Live.keptImage.keep(gray, lying);
  }

  function made(width, height, value) {
    return { width, height, values: Float32Array.from({ length: width * height }, (_, i) => value(i % width, Math.floor(i / width))) };
  }

  const turned = ({ values, width, height }) => made(height, width, (x, y) => values[(height - 1 - x) * width + y]);
  const mirrored = ({ values, width, height }) => made(width, height, (x, y) => values[y * width + width - 1 - x]);

  function middle({ values, width, height }) {
    const side = Math.min(width, height);
    const [left, top] = [(width - side) >> 1, (height - side) >> 1];
    return made(side, side, (x, y) => values[(y + top) * width + x + left]);
  }

  function minMax({ values, width, height }) {
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    return made(width, height, (x, y) => (values[y * width + x] - low) / (high - low || 1));
  }

  /** Stretch a picture to [side, side] by cubic splines, as scipy.ndimage.zoom does: corner pixels stay in place. */
  function resize({ values, width, height }, side) {
    const row = (y) => values.subarray(y * width, (y + 1) * width);
    const rows = Array.from({ length: height }, (_, y) => zoom(row(y), side));
    const columns = Array.from({ length: side }, (_, x) => zoom(rows.map((r) => r[x]), side));
    return Float32Array.from({ length: side * side }, (_, i) => columns[i % side][Math.floor(i / side)]);
  }

  function zoom(line, side) {
    const last = line.length - 1;
    if (last === 0) return new Float64Array(side).fill(line[0]);
    const c = coefficients(line);
    const at = (i) => c[i < 0 ? -i : i > last ? 2 * last - i : i]; // mirrored at the ends
    return Float64Array.from({ length: side }, (_, i) => {
      const place = (i * last) / (side - 1);
      const k = Math.min(Math.floor(place), last - 1);
      const [t, u] = [place - k, 1 - place + k];
      const inner = (v) => (4 - 6 * v * v + 3 * v ** 3) / 6;
      return (u ** 3 / 6) * at(k - 1) + inner(t) * at(k) + inner(u) * at(k + 1) + (t ** 3 / 6) * at(k + 2);
    });
  }

  /** Coefficients of the cubic B-spline through a line, by two recursive filters, one in each direction. */
  function coefficients(line) {
    const pole = Math.sqrt(3) - 2;
    const last = line.length - 1;
    const c = Float64Array.from(line, (value) => 6 * value);
    let first = c[0] + pole ** last * c[last];
    for (let i = 1; i < last; i++) first += (pole ** i + pole ** (2 * last - i)) * c[i];
    c[0] = first / (1 - pole ** (2 * last));
    for (let i = 1; i <= last; i++) c[i] += pole * c[i - 1];
    c[last] = (pole / (pole * pole - 1)) * (c[last] + pole * c[last - 1]);
    for (let i = last - 1; i >= 0; i--) c[i] = pole * (c[i + 1] - c[i]);
    return c;
  }

  return {
    forget, move, read, restore,
    get cropped() { return lying.cropped; },
    get kept() { return kept; },
    get slice() { return slice; },
  };
})();
