"""From a derivation to the text of a generated module: which statements, on which buffers, in which loops."""
