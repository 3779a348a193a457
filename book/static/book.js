// A page that is opened from the disk may not fetch others, from which search would quote: it lists titles alone.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
// On a phone, many panels side by side would be thumbnails: such a figure scrolls within its frame (book.css).
addEventListener("load", () => {
  for (const figure of document.querySelectorAll(".cell_output img"))
    figure.classList.toggle("panels", figure.naturalWidth > 2.5 * figure.naturalHeight);
});
