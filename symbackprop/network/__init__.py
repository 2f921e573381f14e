"""A network as its user writes it, layer sizes with options or a ``.net`` file, and the ``Model`` of it."""
