"""Forward mathematics as data: one line for each activation, loss and initialiser.

Nothing here is a derivative.  Adding a function is adding a line; its derivative, proof, LaTeX and code
follow from it.
"""

from symbackprop.library.activations import ACTIVATION_ALIASES, ACTIVATIONS, Activation
from symbackprop.library.initializers import INITIALIZERS, Initializer
from symbackprop.library.losses import LOSS_ALIASES, LOSSES, Loss
from symbackprop.library.optimizers import OPTIMIZERS, Optimizer

__all__ = [
    "ACTIVATIONS",
    "ACTIVATION_ALIASES",
    "INITIALIZERS",
    "LOSSES",
    "LOSS_ALIASES",
    "OPTIMIZERS",
    "Activation",
    "Initializer",
    "Loss",
    "Optimizer",
]
