"""Waremill mass-produces product content for e-commerce catalogues."""

__version__ = "0.1.0"
