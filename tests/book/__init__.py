"""Tests of the book: its sources, what it fetches, its links, and the site as built."""
