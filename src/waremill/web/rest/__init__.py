"""The REST API: one module a noun; shapes are pydantic models, errors are problem documents."""
