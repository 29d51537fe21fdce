"""Chat: the turns of a conversation, what a model is told in each, and what came of it.

Pure of storage and of doors: `app/` keeps conversations, the doors show them. Whatever a model
says, and whatever a document, a product or a tool says to it, is data here: it opens nothing,
permits nothing and starts nothing.
"""
