"""Other libraries' tools and retrievers as ours, and ours as theirs. One small file each.

None is imported before something of its library's is used.
"""
