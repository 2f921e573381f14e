"""The sentences of a document, one catalogue for each language."""
