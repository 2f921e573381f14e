"""What every stage speaks: quantities, equations, indices, names, the model of a network, steps."""
