"""Tools: typed Python functions that a model may call, and the bounded loop in which it does.

This room knows how a function becomes a tool and how its calls are answered; what the tools look
into is handed to them. It sends nothing itself: whoever uses the loop hands it a way to ask.
"""
