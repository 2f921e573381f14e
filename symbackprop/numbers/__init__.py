"""Numbers for a derivation: its steps evaluated on arrays, and the self-test of what leaves the package."""
