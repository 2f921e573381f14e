"""The sentences of a derivation, one catalogue per language.

A language is one more dictionary with the same keys.  ``{name}`` stands for a formula or a list that
the derivation supplies; formulas themselves are in no catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping

Catalogue = Mapping[str, str]

ENGLISH: Catalogue = {
    # headings
    "heading.forward": "Forward equations",
    "heading.assumed": "Assumed of the data",
    "heading.backward": "The derivative, from the error inwards",
    "heading.stable": "Computing it without overflow",
    "heading.batch": "The mean over a batch",
    "heading.update": "The update",
    "heading.initial": "The first weights",
    "heading.results": "All results",
    "heading.derivative": "Derivative",
    "heading.formula": "Result",
    "heading.number": "Step",
    # introductions
    "given.inputs": "Given are {quantities}.",
    "given.parameters": "The parameters are {quantities}.",
    "given.constants": "Constant is {quantities}.",
    "given.shape": "{quantity} of shape {shape}",
    "given.scalar": "the number {quantity}",
    "given.values": "Here {values}.",
    "note.shape": "shape {shape}",
    "note.scalar": "a number",
    "backward.introduction": (
        "Each group of steps leads to one derivative, which is marked, and may use those found before it. "
        "A step behind the mark writes the same out."
    ),
    "stable.introduction": (
        "These forms are equal to the equations above. The code has operations for log(1 + exp(z)) and for "
        "the logarithm of a sum of exponentials that neither overflow nor lose digits."
    ),
    "batch.introduction": (
        "So far {loss} is the error of one sample. Of a batch of {samples} samples, numbered by {sample}, "
        "{loss} is the mean of the errors {own}."
    ),
    "update.introduction": (
        "The derivative of {loss} says how {loss} changes with a parameter, so a step against it makes "
        "{loss} smaller. Write {parameter} for any component of any parameter and {derivative} for the "
        "derivative of {loss} for it; a prime marks the value after the step. This is {optimizer}; "
        "unless told otherwise {settings}."
    ),
    "update.count": " The steps are counted by {step}, from 1.",
    "initial.introduction": (
        "Weights start at random, or all units of a layer would learn the same; their variance decides "
        "whether a signal keeps its strength from layer to layer. Biases, if there are any, start at 0."
    ),
    "initial.line": "{initializer}, for {activations}: {variances}. {reason}",
    "initial.plain": "{initializer}: {variances}. {reason}",
    "initial.variance": "{weight} has variance {formula}",
    "initial.both": (
        "A unit adds up as many terms as it has inputs, so the variance 1/inputs keeps the strength of the "
        "signal; on the way back an error adds up as many terms as there are outputs. This is a compromise "
        "between the two."
    ),
    "initial.half": (
        "A unit adds up as many terms as it has inputs; the activation passes one half of their power on, "
        "which the factor 2 makes up for."
    ),
    "initial.forward": (
        "A unit adds up as many terms as it has inputs, so this variance keeps the strength of the signal."
    ),
    "initial.length": "Directions at right angles keep the length of every signal.",
    "initial.small": "A small number that does not look at the layer: strength is not kept.",
    "initial.none": "All units of a layer start alike and stay alike: for comparison only.",
    # the names of the rules
    "rule.chain rule": "Chain rule",
    "rule.local derivative": "Local derivative",
    "rule.closed form": "Closed form",
    "rule.simplification": "Simplification",
    "rule.folding": "Folding",
    "rule.product": "Insertion",
    "rule.contraction": "Contraction",
    "rule.cancellation": "Cancellation",
    "rule.fact": "Assumption",
    "rule.substitution": "Substitution",
    "rule.stable form": "Stable form",
    "rule.batch mean": "Batch mean",
    "rule.update": "Update",
    # what was done, and why it may be done
    "chain.one": "{loss} depends on {quantity} only through {through}.",
    "chain.feeds": "{quantity} feeds every {through}, so the changes add up over {indices}.",
    "chain.ways": "{loss} depends on {quantity} in several ways, through {through}: their changes add up.",
    "chain.direct": "{loss} depends on {quantity} through {through} and directly: both changes add up.",
    "local.plain": "Differentiate {number} with respect to {quantity}.",
    "local.sum": "Differentiate {number} with respect to {quantity}; only the term that contains it remains.",
    "local.term": "The term of {number} that contains {quantity} itself.",
    "local.delta": "Here {delta} is 1 where its two indices are equal, and 0 elsewhere.",
    "closed": "By {number} this can be written through {output}, which is known already.",
    "folding": "By {number} this contains the value of {quantity}, which is known already.",
    "folding.cancel": "By {number} terms cancel.",
    "simplification": "The same, in a shorter form.",
    "insert": "Insert {numbers}.",
    "insert.sum": "Insert {numbers}: what is left is a sum over {indices}, over all that {quantity} feeds.",
    "insert.delta": "Insert {numbers}; {delta} picks one term out of the sum.",
    "insert.cancel": "Insert {numbers}; equal factors above and below the fraction bar cancel.",
    "cancel": "Equal factors above and below the fraction bar cancel.",
    "fact": "Since {fact} is assumed of the data.",
    "stable": "In place of {number}.",
    "batch": "The mean of {number} over the samples.",
    "update.state": "There is one {quantity} for each component; it starts at 0.",
    "update.parameter": "The new value of {quantity}.",
    # what a picture shows, for those who do not see it
    "drawing.title": "The network {network}",
    "drawing.dense": (
        "Columns of units from left to right: {columns}; at the right the error E. Every unit feeds each "
        "unit of the next column."
    ),
    "drawing.inputs": "the inputs ({units})",
    "drawing.layer": "a layer of {units} with {activation}",
    "drawing.graph": "Boxes from left to right, with an arrow from each quantity to what reads it: {arrows}.",
    "drawing.reads": "{quantity} reads {reads}",
    "drawing.unit": "Unit {quantity}",
    "drawing.weight": "Weight {quantity}, from unit {source} to unit {target}",
    "drawing.bias": "Bias {quantity} of unit {unit}",
    "drawing.input": "Input {quantity}",
    "drawing.target": "Target {quantity}",
    "drawing.parameter": "Parameter {quantity}",
    "drawing.quantity": "Quantity {quantity}",
    "drawing.output": "Output {quantity}",
    "drawing.loss": "Error {quantity}",
    # lines of LaTeX that the language needs before the document begins
    "latex.preamble": "",
    # what a page says beside the derivation
    "page.choose": (
        "Choose a weight or a unit, with the mouse or with Tab and Enter: the paths light up along which the "
        "error flows back to it, and its derivative stands here."
    ),
    "page.fold": "Fold all steps",
    "page.unfold": "Unfold all steps",
    # parts of sentences, and words inside formulas
    "list.between": ", ",
    "list.last": " and ",
    "word.if": "if",
    "word.otherwise": "otherwise",
    "word.and": "and",
    "word.or": "or",
    "word.not": "not",
}

CATALOGUES: Mapping[str, Catalogue] = {"en": ENGLISH}
"""Language code -> its sentences."""


def words_in_formulas(catalogue: Catalogue) -> dict[str, str]:
    """Return the words that the printers set inside formulas: if, otherwise, and, or, not."""
    return {key.removeprefix("word."): word for key, word in catalogue.items() if key.startswith("word.")}
