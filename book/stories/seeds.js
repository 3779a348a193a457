// Simulated tables of one training of each network, as book/stories/seeds.py draws them; `values` stands above.
function generator(seed) { // mulberry32 by Tommy Ettinger
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const uniform = generator(values.seed);
const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
function table() { // mean gain in points of one training over another of an equal network
  const shift = values.trainings * (normal() - normal());
  let sum = 0;
  for (let patient = 0; patient < values.count; patient++)
    sum += values.patients * normal() + values.luck * (normal() - normal()) + shift;
  return sum / values.count;
}
const means = [];
const part = (name, attributes, words = "") => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = words;
  return node;
};
const place = points => 300 + 132 * Math.max(-2.15, Math.min(2.15, points));
function heap(drawn, title, bottom, shift, kind) {
  const heights = {}, bins = means.map(mean => Math.round((mean + shift) / values.bin));
  for (const bin of bins) heights[bin] = (heights[bin] || 0) + 1;
  const up = Math.min(6, 80 / Math.max(1, ...Object.values(heights))), below = {};
  drawn.push(part("text", { x: 10, y: bottom - 78 }, title), part("line", { x1: 10, x2: 590, y1: bottom, y2: bottom, class: "axis" }));
  means.forEach((mean, number) => {
    const count = below[bins[number]] = (below[bins[number]] || 0) + 1;
    const names = kind(mean + shift) + (number >= means.length - 5 ? " new" : "");
    drawn.push(part("circle", { cx: place(mean + shift), cy: bottom - 5 - up * (count - 1), r: 4, class: names }));
  });
}
function draw() {
  const drawn = [0, values.gap].map(at => part("line", { x1: place(at), x2: place(at), y1: 8, y2: 238, class: at ? "paper" : "axis" }));
  heap(drawn, "equal networks", 110, 0, mean => Math.abs(mean) >= values.gap ? "chance" : "");
  heap(drawn, `truly +${values.gap}`, 236, values.gap, mean => Math.abs(mean) >= values.limit ? "found" : "");
  for (const at of [-2, -1, 0, 1, 2]) drawn.push(part("text", { x: place(at), y: 258, "text-anchor": "middle" }, at > 0 ? `+${at}` : `${at}`));
  document.getElementById("dots").replaceChildren(...drawn);
  const count = test => means.filter(test).length, percent = found => `${found} (${Math.round(100 * found / means.length)} %)`;
  const apart = count(mean => Math.abs(mean) >= values.gap), above = count(mean => mean >= values.gap);
  const missed = count(mean => Math.abs(mean + values.gap) < values.limit);
  document.getElementById("counts").textContent =
    `${means.length} tables, one training of each network. Equal networks: ${percent(apart)} are ${values.gap} points or more apart, ` +
    `${percent(above)} say +${values.gap} or more for the second network. ` +
    `Truly +${values.gap}: a test misses it in ${percent(missed)}, because it needs ${values.limit.toFixed(2)} points.`;
}
function more(tables) {
  while (tables--) means.push(table());
  draw();
  tell();
}
document.getElementById("five").onclick = () => more(5);
document.getElementById("many").onclick = () => more(500);
more(5);
