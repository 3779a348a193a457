"""The live page: trained networks that run in a browser, and the page that shows them."""
