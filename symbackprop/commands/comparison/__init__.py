"""A generated module against the numbers of the derivation that it cites."""
