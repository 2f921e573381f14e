"""The rules of one step: how a quantity is read, the adjoint rule, and the form that a person would write."""
