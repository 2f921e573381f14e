"""The ``.net`` notation: from the text of a file to a ``Model``."""
