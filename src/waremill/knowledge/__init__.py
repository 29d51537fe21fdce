"""Knowledge: documents loaded, cleaned, split, embedded, indexed and searched.

Everything here works on values: content in, passages out. It opens no database, calls no model over
a network (an embedder is handed in), and knows neither items nor runs.
"""
