"""How named sources are read: REST addresses page by page, folders and buckets file by file.

Each ends in a file on this machine that the import reads like any other. What is gone at a source
is not deleted here.
"""
