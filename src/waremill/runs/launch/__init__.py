"""Launchers: how a claimed run's items reach more workers than this process, a file each.

A launcher is handed the callable that builds a worker, so it imports nothing above it. It must not
know what an item's steps are, nor write anything an item made: workers do that, each under a row
of its own.
"""
