"""Three stories in pictures: each an animated SVG for texts and slides, and a page with buttons for the book."""
