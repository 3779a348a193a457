// A table that is wider than the page gets smaller, in steps, until it fits.
for (const table of document.querySelectorAll("table"))
  for (let size = 8.5; size > 4 && table.offsetWidth > table.parentElement.clientWidth; size -= 0.5)
    table.style.fontSize = `${size}pt`;
