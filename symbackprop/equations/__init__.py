"""The common language of all stages: quantities, equations, indices, names, the model of a network, steps."""
