"""The catalogue: reading sources, cleaning cells, selecting products and publishing results."""
