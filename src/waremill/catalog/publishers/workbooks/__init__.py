"""Filling somebody else's workbook: its parts, rows, drop-downs, and writing rows into one sheet.

Nothing of the file changes but the cells that are filled: a sheet's XML is cut at its rows' bytes
and put together again, every other part is copied as it is. The room must not know what a product
or a channel is.
"""
