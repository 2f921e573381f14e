"""From indexed equations to array operations.

An index of an equation becomes an axis of an array.  The result is a tree of `Operation`s, each one
operation of NumPy; equal subtrees are equal objects, whatever the letters of their indices.

    operations   the tree
    axes         indices as axes: layouts that broadcast, sizes as numbers
    reads        a component of a quantity as slices, windows or a gather
    guards       conditions on indices: what padding with zeros makes superfluous
    contraction  sums of products as matrix products
    scatter      sums that write to places of the result
    expressions  everything else, node by node; one equation
    signature    equal layers are lowered once
"""

from symbackprop.lowering.expressions import is_decimal
from symbackprop.lowering.operations import Operation, Statement
from symbackprop.lowering.signature import UNCHANGED, Change, Lowered, lower

__all__ = ["UNCHANGED", "Change", "Lowered", "Operation", "Statement", "is_decimal", "lower"]
