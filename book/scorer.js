// How the search of the book orders what it finds: pages before the Python reference.
// The numbers are those of Sphinx, which all have to be given once one of them is another.
var Scorer = {
  score: ([page, , , , score, , kind]) => (page.startsWith("api/") || kind === "object" || kind === "index" ? score - 1000 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
