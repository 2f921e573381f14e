"""From equations to numbered steps: the reverse pass, and its results for a batch and an optimiser."""
