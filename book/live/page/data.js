"use strict";

// Every script of this page adds one part to this object. Classic scripts, since file:// forbids modules and fetch.
window.Live = {};

/** Return the promise that `map` keeps under a key, made when first asked for; one that fails is made anew next time. */
Live.once = (map, key, make) => {
  if (!map.has(key)) {
    const made = make();
    map.set(key, made);
    made.catch(() => map.delete(key));
  }
  return map.get(key);
};

// What comes packed: each file data/NAME.js calls Live.data.arrived with base64 of gzip, and is loaded when first needed.
Live.data = (() => {
  const loaded = new Map(); // name -> promise of the bytes
  const waiting = new Map(); // name -> takes the bytes

  /** Return the unpacked bytes of data/NAME.js, a Uint8Array. */
  function load(name) {
    return Live.once(loaded, name, () => new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      const script = document.createElement("script");
      script.onerror = () => reject(problem(name, "missing"));
      script.onload = () => reject(problem(name, "damaged")); // changes nothing once it has arrived
      script.src = `data/${name}.js`;
      document.head.append(script);
    }));
  }

  /** Take what a script of the folder data/ holds. */
  function arrived(name, base64) {
    const content = unpacked(bytes(base64)).catch(() => {
      throw problem(name, "damaged");
    });
    waiting.get(name)(content);
  }

  function problem(name, what) {
    const remedy = location.protocol === "file:" ? "copy the whole folder of this page again" : "check the network and try again";
    return new Error(`data/${name}.js is ${what}; ${remedy}`);
  }

  async function unpacked(gzip) {
    const stream = new Blob([gzip]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Decode base64. */
  function bytes(base64) {
    const text = atob(base64);
    const result = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) result[i] = text.charCodeAt(i);
    return result;
  }

  /** Widen the float16 numbers in base64 to a Float32Array. */
  function float16(base64) {
    const view = new DataView(bytes(base64).buffer);
    return Float32Array.from({ length: view.byteLength / 2 }, (_, i) => {
      const half = view.getUint16(2 * i, true);
      const sign = half & 0x8000 ? -1 : 1;
      const exponent = (half >> 10) & 31;
      const fraction = (half & 1023) / 1024;
      return sign * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
    });
  }

  /** Read data/slices.js: organ -> its classes, colors, networks, and slices as typed arrays. */
  async function organs() {
    const found = JSON.parse(new TextDecoder().decode(await load("slices")));
    for (const organ of Object.values(found)) {
      organ.slices = organ.slices.map(({ name, image, vit_image, label }) => ({
        name,
        image: float16(image),
        vitImage: float16(vit_image),
        label: bytes(label),
      }));
    }
    return found;
  }

  return { arrived, load, organs };
})();
