"""What a user writes, layer sizes with options or a ``.net`` file, and the ``Model`` that is made of it."""
