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
    const picture = grayOf(bitmap);
    if (picture.values.every((value) => value === picture.values[0])) {
      throw new Error("This picture has one gray value everywhere (a browser keeps the upper 8 of 16 bits); choose another");
    }
    gray = picture;
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
    if (how === "turn") lying = { ...lying, turns: (turns + (flipped ? 3 : 1)) % 4 }; // the flip comes last, and mirrors a turn
    if (how === "flip") lying = { ...lying, flipped: !flipped };
    if (how === "crop") lying = { ...lying, cropped: !cropped };
    prepare();
  }

  function grayOf(bitmap) {
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    // Luma of ITU-R BT.601, as Pillow's mode L; equal channels stay exact.
    const luma = (at) => Math.round((299 * data[at] + 587 * data[at + 1] + 114 * data[at + 2]) / 1000);
    return made(width, height, (x, y) => luma(4 * (y * width + x)));
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
    const values = new Float32Array(width * height);
    let i = 0; // loops, since Float32Array.from takes a second for the pixels of a photograph
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) values[i++] = value(x, y);
    }
    return { width, height, values };
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
    const c = new Float64Array(line);
    for (let i = 0; i <= last; i++) c[i] *= 6;
    let first = c[0] + pole ** last * c[last];
    const reach = Math.min(last, 32); // pole ** 32 is less than the last digit of a number
    for (let i = 1; i < reach; i++) first += (pole ** i + pole ** (2 * last - i)) * c[i];
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
