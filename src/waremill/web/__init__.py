"""The second door: the REST API under `/v1` and the console at `/`, one FastAPI application.

It must hold no logic and no SQL: a route or a page asks the application and shows the answer.
"""
