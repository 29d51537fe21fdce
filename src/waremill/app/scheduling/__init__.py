"""Schedules: a cron line that starts a run over what is new or changed.

`schedules` keeps them, `leading` looks at the clock for all servers together, `firing` takes one
slot from its moment to its run, `increments` says which products are left to do.
"""
