"""Readers: one module per kind of source; each turns a source into batches of clean rows.

A reader is a module with `SUFFIXES` (file name endings), `RANK` (lower is asked first),
`recognises(head, suffix)` and `open_reader(source, request)`. `waremill.catalog.reading` finds
readers by listing this package, so a new kind of source is one new file. Readers must not know the
store, templates or runs.
"""
