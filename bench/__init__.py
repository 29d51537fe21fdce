"""Benchmarks: what an item costs and how much memory a run takes, beside what others take."""
