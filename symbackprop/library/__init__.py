"""Forward mathematics as data, one line for each function, and the reader of formulas."""
