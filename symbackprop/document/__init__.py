"""A derivation for readers: sentences, the strings that templates place, and the formats."""
