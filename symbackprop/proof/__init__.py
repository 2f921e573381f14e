"""Proof of a derivation, step by step, against plain scalar calculus.

In goes a ``Derived``, out comes a ``Verdict`` for each of its steps.

Nothing here is shared with the code that derives: of its modules only the data classes are used.
A step is made concrete instead.  Sizes become small unequal numbers, every component of every quantity
becomes a scalar of its own, the equations that read the quantity are differentiated as scalar functions,
and the step is compared with that, for every assignment of its free indices.  Three things keep the
proof honest and cheap:

- **Free cotangents.**  Where the derivative of the loss with respect to a quantity has a name, it is a
  free random number per component.  A plain sum as the loss would not do: the sum of a softmax is
  constant, and zero would be compared with zero.
- **Only the equations that matter.**  A step is about the quantities that read its target; all else that
  these read is free.  So the cost of a layer does not depend on the depth, and steps that are equal up to
  the names in them are proved once.
- **Both sides of a kink.**  Where the step or its equations hold a ``Piecewise`` (or ``Max``, ``Abs``,
  …), further random points lie close to where the branches meet, and far from there.

Sizes that leave a guard on indices true (or false) for all of them are enlarged where that helps.

The stages of one proof, each a module: a ``Statement`` (the claim of the step), a ``Scope`` (which
equations decide it), a ``Grid`` (all this as scalar expressions), a ``Point`` (numbers for the scalars)
and a ``Comparison`` (both sides of the step at the points); ``Prover`` runs them.
"""

from symbackprop.proof.prover import Prover, Verdict, prove, prove_step

__all__ = ["Prover", "Verdict", "prove", "prove_step"]
