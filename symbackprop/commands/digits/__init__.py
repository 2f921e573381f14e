"""The handwritten digits that the demonstration trains on."""
