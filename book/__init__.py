"""The book: lessons, documentation, reports and the live page as a web site that needs no network: `python -m book`."""
