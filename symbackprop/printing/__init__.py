"""Expressions as text and LaTeX, in one order of terms and factors; matrices, and runs of layers.

``Order`` decides which term and which factor comes first, as a textbook would (``x2[i] - t[i]``,
``x1[j]·(1 - x1[j])``, ``∂E/∂s1[j]·x0[k]``), and ``Printer`` where brackets are needed; only the marks differ
between formats.  Nothing depends on the order in which SymPy stores arguments.
"""
