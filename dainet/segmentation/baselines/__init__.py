"""The networks that the paper's tables compare with, written from published facts with library blocks."""
