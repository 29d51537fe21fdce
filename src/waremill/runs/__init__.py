"""Runs: plan, work, decide, stop, estimate, and what a trial says.

The room must not wire anything: what calls a model and what a step does is handed in.
"""
