"""The blocks that ship with the package: ``NAME.net`` holds the block NAME, its source in a comment."""
