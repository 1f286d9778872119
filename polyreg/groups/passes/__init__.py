"""Passes over the rows beside the first: merge of parts, and exact fits."""
