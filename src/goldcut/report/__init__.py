"""One offline HTML file to decide from, and the same verdict in words for a terminal.

Everything here is made from the records of a run and nothing else: no model is loaded, no figure is
computed that a record does not hold or that does not follow from it by arithmetic.
"""
