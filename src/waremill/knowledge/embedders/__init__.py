"""Models that embed texts on this machine: one file each, found by its name.

A file has `open_embedder() -> Embedder`. It loads its package inside that function, and its weights
with the first text. It must not reach a network.
"""
