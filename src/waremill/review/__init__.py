"""Decisions about reviews: how many to look at, what a verdict does to an item. Pure.

This room must not read a database or a file, and knows nothing of pages or requests.
"""
