"use strict";

// The networks, run by ONNX Runtime in WebAssembly, on one thread.
Live.networks = (() => {
  const runtime = new Map(); // "onnx" -> promise of ONNX Runtime
  const sessions = new Map(); // "heart-vit" -> promise of a session
  const attention = new WeakMap(); // slice -> organ -> promise of its maps
  const here = new Set(); // the models whose sessions are open

  async function openRuntime() {
    const [code, wasm] = await Promise.all([Live.data.load("runtime"), Live.data.load("wasm")]);
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    // A blob, since file:// allows no import of a file.
    const ort = await import(address).catch(({ message }) => {
      throw new Error(`This browser does not start ONNX Runtime (${message}); try a newer one, or allow scripts from blob:`);
    });
    URL.revokeObjectURL(address);
    ort.env.wasm.numThreads = 1; // more need headers that a file does not have
    ort.env.wasm.wasmBinary = wasm;
    return ort;
  }

  const onnx = () => Live.once(runtime, "onnx", openRuntime);

  function session(model) {
    return Live.once(sessions, model, async () => {
      const [ort, bytes] = await Promise.all([onnx(), Live.data.load(model)]);
      const opened = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
      here.add(model);
      return opened;
    });
  }

  /** Name the models of an organ that some of its networks need; a network that it does not have needs none. */
  function needed(organ, names) {
    return ["vit", ...names].filter((name) => Object.hasOwn(Live.organs[organ].networks, name)).map((name) => `${organ}-${name}`);
  }

  /** Load what networks of an organ need. */
  function open(organ, names) {
    return Promise.all(needed(organ, names).map(session));
  }

  /** Say whether all is here that networks of an organ need. */
  function areOpen(organ, names) {
    return needed(organ, names).every((model) => here.has(model));
  }

  /** Run a model on those of the inputs (name -> [numbers, shape]) that it takes; returns name -> Float32Array. */
  async function run(model, inputs) {
    const [opened, ort] = [await session(model), await onnx()];
    const feeds = opened.inputNames.map((name) => [name, new ort.Tensor("float32", ...inputs[name])]);
    const outputs = await opened.run(Object.fromEntries(feeds));
    return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
  }

  /** Compute the attention maps [6, size, size] of a slice by the ViT of an organ, once. */
  function maps(organ, slice) {
    if (!attention.has(slice)) attention.set(slice, new Map());
    const side = Live.organs[organ].vit_size;
    const compute = async () => (await run(`${organ}-vit`, { image: [slice.vitImage, [1, 1, side, side]] })).maps;
    return Live.once(attention.get(slice), organ, compute);
  }

  /**
   * Compute logits [classes, size, size] of a slice.
   *
   * heads and skips are strings such as "111011": 0 cuts a skip of the attention encoder to zeros, and the map of a head
   * to what `instead` names: "zero", its own "mean", or the map of "other", the next slice, which is another patient's.
   */
  async function logits(organ, slice, name, heads, skips, instead = "zero") {
    const { size, networks } = Live.organs[organ];
    if (!Object.hasOwn(networks, name)) return null;
    const inputs = { image: [slice.image, [1, 1, size, size]], heads: digits("111111"), skips: digits(skips) };
    if (name !== "unet") inputs.maps = [await cutMaps(organ, slice, heads, instead), [1, 6, size, size]];
    return (await run(`${organ}-${name}`, inputs)).logits;
  }

  /** Return the maps of a slice with a stand-in for each that is cut. */
  async function cutMaps(organ, slice, heads, instead) {
    const whole = await maps(organ, slice);
    const side = whole.length / heads.length;
    const result = whole.slice();
    for (let head = 0; head < heads.length; head++) {
      const [start, end] = [head * side, (head + 1) * side];
      if (heads[head] === "1") continue;
      if (instead === "zero") result.fill(0, start, end);
      if (instead === "mean") result.fill(whole.subarray(start, end).reduce((a, b) => a + b) / side, start, end);
      if (instead === "other") result.set((await maps(organ, nextSlice(organ, slice))).subarray(start, end), start);
    }
    return result;
  }

  /** Return the slice after this one; after the last, or a picture of the visitor, comes the first. */
  function nextSlice(organ, slice) {
    const { slices } = Live.organs[organ];
    return slices[(slices.indexOf(slice) + 1) % slices.length];
  }

  function digits(text) {
    return [Float32Array.from(text, Number), [text.length]];
  }

  return { areOpen, logits, maps, open };
})();
