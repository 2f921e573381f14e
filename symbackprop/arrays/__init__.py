"""From indexed equations to array operations.

An index of an equation becomes an axis of an array.  The result is a tree of ``Operation``s, each one
operation of NumPy; equal subtrees are equal objects, whatever the letters of their indices.

    kinds        what an operation does
    operations   the tree
    axes         indices as axes: layouts that broadcast, sizes as numbers
    reads        a component of a quantity as slices, windows or a gather
    guards       conditions on indices: what padding with zeros makes superfluous
    contraction  sums of products as matrix products
    scatter      sums that write to places of the result
    exponentials sums of exponentials, of which the largest exponent is taken out
    fractions    what stands above and below, in which order, and what may overflow
    expressions  everything else, node by node; one equation
    signature    equal layers are lowered once
    evaluate     an operation carried out on arrays
    shapes       the shape that comes of inputs, by NumPy's rules
    verify       the rules of each kind, which tests see kept
"""
