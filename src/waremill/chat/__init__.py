"""Chat: the turns of a conversation, what a model is told in each, and what came of it.

Pure of storage and of doors: `app/` keeps conversations, the doors show them.
"""
