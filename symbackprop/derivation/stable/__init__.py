"""Equal forms that neither overflow nor lose digits, found by measuring."""
