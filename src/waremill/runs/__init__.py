"""Runs: plan, work, decide, stop, estimate, and what a trial says. Launching is the application's."""
