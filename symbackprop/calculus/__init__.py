"""Index calculus on SymPy: binders, paths and contraction, closed forms, stable forms."""
