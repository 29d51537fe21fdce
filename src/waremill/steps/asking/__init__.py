"""What steps that ask a model share: what a prompt holds, and how several answers become one.

Nothing here is a step of its own.
"""
