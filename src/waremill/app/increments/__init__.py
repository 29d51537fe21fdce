"""What changed since something was made: which products a pipeline's results are stale for.

Results are stale where their pipeline, template, parameters, model, knowledge or product is another
now than when they were made. Nothing is rendered and no model is asked.
"""
