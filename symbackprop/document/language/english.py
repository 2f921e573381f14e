"""The sentences in English."""

from __future__ import annotations

ENGLISH: dict[str, str] = {
    # headings
    "document.title": "Backpropagation through the network {network}",
    "heading.overview": "In short",
    "heading.overview_results": "The results, in short",
    "heading.theorem": "Theorem",
    "heading.proof": "Proof: the derivative, from the error inwards",
    "heading.forward": "Forward equations",
    "heading.error": "The error",
    "heading.backward": "The derivative, from the error inwards",
    "heading.slopes": "How an error changes on its way back",
    "heading.stable": "Computing it without overflow",
    "heading.batch": "The mean over a batch",
    "heading.update": "The update",
    "heading.trainer": "What only the trainer needs",
    "heading.arrays": "For a batch, in matrices",
    "heading.initial": "The first weights",
    "heading.results": "All results",
    "results.left_out": "There are {count} more; the whole derivation has them, with every step.",
    "heading.assumed": "What was assumed",
    "heading.holds": "What was assumed, and what was proved",
    "heading.derivative": "Derivative",
    "heading.formula": "Result",
    "heading.number": "Step",
    # introductions
    "given.quantities": "Given are {quantities}.",
    "given.inputs": "The inputs are {quantities}.",
    "given.targets": "The targets are {quantities}.",
    "given.parameters": "The parameters are {quantities}.",
    "given.constants": "The constants are {quantities}.",
    "given.vector": "The vector has a part for each parameter: {quantities}.",
    "given.states": "The states are {quantities}; a step of training changes them, by no derivative.",
    "given.noise": "Each step of training draws anew {quantities}.",
    "drawn.normal": "{quantity} is normal, with the deviation {deviation}.",
    "drawn.uniform": "{quantity} is uniform, from {low} to {high}.",
    "drawn.bernoulli": "{quantity} is 1 with the probability {probability}, else 0.",
    "given.shape": "{quantity} of shape {shape}",
    "given.scalar": "{quantity} (a number)",
    "given.names": "In code and files parameters count the uses of their own block: {names}.",
    "given.name": "{quantity} is {names}",
    "given.values": "Here {values}.",
    "given.units": (
        "{sum} is the weighted sum that a unit takes in, its pre-activation; {output} is what the unit gives "
        "out, its activation. The first index of {weight} tells the unit it comes from, the second the unit "
        "it goes to."
    ),
    "given.layers": "The number at a letter is that of its layer; {input} are the inputs.",
    "given.indices": "Each index letter runs over a fixed number of values: {ranges}.",
    "given.index": "{indices} over {size}",
    # the first page
    "idea.layers.1": "First comes {error}: how much E changes with what a unit of a layer takes in.",
    "idea.layers.2": (
        "Times what came in through a weight, {input}, it is the derivative for that weight, {weight}."
    ),
    "idea.layers.3": (
        "That of a layer follows from that of the layer behind it, so the same two lines serve every layer."
    ),
    "idea.layers.4": (
        "So it runs from the error backwards: one pass finds all derivatives, for about the cost of two "
        "forward passes; to try each weight by itself would take a forward pass for each."
    ),
    "idea.quantities.1": (
        "The derivative of {loss} for a quantity tells how much {loss} changes when that quantity does."
    ),
    "idea.quantities.2": (
        "A quantity acts on {loss} only through what reads it: its derivative is the sum, over all that "
        "reads it, of the derivatives for these times a local one."
    ),
    "idea.quantities.3": "For a parameter it is the same rule, and there the way ends.",
    "idea.quantities.4": (
        "So it runs from {loss} backwards: each derivative needs only those found before it, and one pass "
        "finds all of them, for about the cost of two forward passes."
    ),
    "why.outputs": "The error of the outputs.",
    "why.sum": (
        "The error of a layer: that of the next one comes back over its weights, times the slope of the "
        "activation."
    ),
    "why.weight": "A weight multiplies what came in: its derivative is the error times that.",
    "why.bias": "A bias is added: its derivative is the error itself.",
    "algorithm.introduction": "Step by step:",
    "algorithm.forward": "Compute {numbers} in order, and keep every value.",
    "algorithm.start": "Begin at the error, with {derivative}: {number}.",
    "algorithm.back": "Go back against that order: each derivative needs only those found already.",
    "algorithm.results": "What is sought, {numbers}, follows on the way.",
    "algorithm.update": (
        "Take the mean over a batch, {mean}, change all parameters by {update}, and begin again."
    ),
    "section.outside": "Further equations",
    "value.section": "Derivatives of {of}",
    "value.derivative": "{quantity} is {derivative}; the steps to it stand below.",
    "value.none": "{quantity} is {derivative}: {of} does not depend on {variable}.",
    "value.left": "This is what a step of training leaves in {state}.",
    "use.section": "In use",
    "use.introduction": (
        "What stands above is the network while it is trained. In use, where outputs are asked for and the "
        "error of other data, these equations stand in place of those above; all others stay."
    ),
    "use.computed": "Computed without overflow, and for a batch:",
    "value.held": "{quantity} is held fixed: no derivative goes through it to what it is computed from.",
    "given.circle": (
        "{quantities} go in a circle: each is read at another place along {letter}. They are computed place "
        "by place, from {letter} = {first} to {letter} = {last}."
    ),
    "backward.circle": (
        "Backpropagation goes through the places of {letter} the other way, from {letter} = {last} to "
        "{letter} = {first}: a derivative at another place is what comes back from there. At the ends, where "
        "the condition beside it says that there is no such place, nothing comes."
    ),
    "given.counted": "Components are counted from 0, as in NumPy, and so are units in a drawing.",
    "given.biases": "In the drawing dashed lines are biases; they come from a unit that is always 1.",
    "note.shape": "shape {shape}",
    "note.scalar": "a number",
    "run.note": "The layers {layers} are alike: this holds for any such {layer}, and for each as listed.",
    "run.numbers": "The same steps lead there for each layer. Their numbers: {steps}. The results:",
    "run.steps": "{first} to {last} for {layer}",
    "run.between": "; ",
    "run.row": "{number}, …",
    "run.given": "{quantities} for {layers}",
    "error.introduction": (
        "{loss} says in one number how far the outputs are from their targets; to learn is to make it small."
    ),
    "error.without_targets": (
        "{loss} is the number that learning makes small. There are no targets: it says what is wanted of the "
        "quantities themselves."
    ),
    "error.along": (
        "{slope} says how much {loss} changes along the vector of all {vectors}, the product of its gradient "
        "with that vector. Its derivatives for the parameters, {derivatives}, are the product of the Hessian "
        "of {loss} with the vector."
    ),
    "error.term": "One output adds {term} to {loss}.",
    "error.right": "Where {target}, the right answer costs {error}: that is the limit as {output}.",
    "error.wrong": "The wrong one, {output}, costs {error}.",
    "error.infinite": (
        "The wrong one costs {error} as {output}: to be sure and wrong is punished without bound."
    ),
    "error.constant": "Where {target}, it is {error} whatever {name} is.",
    "error.penalty": (
        "The terms with {strengths} read nothing but the weights: they keep them small, so that the network "
        "does not learn single samples by heart."
    ),
    "backward.errors": "The error of a pre-activation has a letter of its own: {error} is {derivative}.",
    "backward.matrix": (
        "Results are in vectors and matrices. The steps to them are in components, since the derivative of "
        "a vector for a matrix has three indices; functions and fractions are taken component by component."
    ),
    "theorem.given": (
        "A net has {depth} layers of any widths. The number {layer} of a layer is one more index."
    ),
    "theorem.statement": (
        "For the equations {first} to {last} the derivatives of {loss} are as follows, those of a hidden "
        "layer through those of the layer behind it: one pass from the last layer back to the first finds "
        "all of them."
    ),
    "theorem.matrices": "Below, the same stands in vectors and matrices, for one sample.",
    "theorem.drawing": (
        "Columns of units from left to right: the inputs, dots, the layers ℓ-1, ℓ and ℓ+1, dots, the "
        "last layer L; at the right the error. Every unit feeds each unit of the next column."
    ),
    "theorem.hidden": "For the hidden layers, {layers}:",
    "theorem.last": "For the last layer, and the error:",
    "theorem.base": "Base case: the last layer, where the error is known.",
    "theorem.step": (
        "Induction step: let {known} be known. Nothing else is needed of the error, since {loss} depends "
        "on layer {layer} only through {through}: that is {own} with {following} for {layer} or, in the last "
        "layer, {last}."
    ),
    "theorem.conclusion": (
        "By induction, from the last layer back to the first, this holds for all {layers}."
    ),
    "theorem.title": "L layers: {hidden}, then {output} with {loss}",
    "theorem.all": (
        "All {steps} steps are proved. For the nets of {first} to {last} layers the theorem gives what is "
        "derived for each of them on its own."
    ),
    "theorem.checked": (
        "{proved} of {steps} steps are proved. For the nets of {first} to {last} layers the theorem gives "
        "what is derived for each of them on its own."
    ),
    "slopes.introduction": (
        "Each activation on the way back multiplies the error by its slope, so the bounds of the slopes "
        "tell how far an error reaches."
    ),
    "slopes.bounds": "The range of {slopes} is {interval}: an error is multiplied by at most {largest}.",
    "slopes.unbounded": "The range of {slopes} is {interval}: an error may be multiplied by anything.",
    "slopes.cancels": (
        "The range of {slopes} is {interval}, but here the slope cancels against the derivative of the error "
        "and weakens nothing."
    ),
    "slopes.product": (
        "From the last layer back to the first, the product of the slopes is at most {product}."
    ),
    "slopes.vanish": (
        "Unless the weights make up for it, the derivatives of the first layers are that much smaller, and "
        "these layers learn that much more slowly: the vanishing gradient."
    ),
    "slopes.keep": (
        "The slopes alone never make an error grow; where they are smaller than their bound it still fades "
        "from layer to layer, unless the weights make up for it."
    ),
    "slopes.explode": (
        "So the slopes alone can make an error grow from layer to layer: the exploding gradient."
    ),
    "arrays.layers": (
        "The same as products of matrices. What differs from sample to sample has a row for each: row "
        "{sample} is that of sample {sample}, of {samples}. {errors} holds the derivatives with respect to "
        "the pre-activations. The sum over the samples is the inner dimension of the product."
    ),
    "arrays.plain": (
        "The same on whole arrays, where products of matrices or sums of products say it. What differs from "
        "sample to sample has the samples as its first axis."
    ),
    "arrays.product": "{mark} multiplies component by component.",
    "arrays.ones": "{mark} is a vector of ones: it adds up what it multiplies, or repeats it.",
    "arrays.einsum": (
        "einsum has a letter for each axis of each factor, multiplies, and adds up over the letters that "
        "the result does not have."
    ),
    "arrays.code": "With each stand the lines of the generated module that carry it out.",
    "arrays.held": "for each {indices}",
    "descent.component": (
        "Let {parameter} be one component of a parameter and {derivative} the derivative of {loss} with "
        "respect to it."
    ),
    "descent.gradient": (
        "All these derivatives together are the gradient: in the space of the parameters it points where "
        "{loss} grows fastest, and its length says how fast."
    ),
    "descent.step": (
        "Gradient descent goes a little way against it: {parameter} changes by {change}, where {rate} is the "
        "learning rate. For a small step {loss} falls by the sum of {fall} over all components, to first "
        "order, and no step of that length in another direction makes it fall faster."
    ),
    "descent.other": (
        "Plain gradient descent would go a little way against it, {parameter} changing by {change}. The "
        "optimizer below goes downhill too, but chooses the length and the direction of each step from the "
        "derivatives so far."
    ),
    "descent.stochastic": (
        "The exact gradient is a mean over all data. Stochastic gradient descent takes the mean over a "
        "small batch drawn at random: right on average, far cheaper, and its noise can shake the search "
        "out of poor places."
    ),
    "descent.rate": (
        "The learning rate sets the length of a step. Too small, and learning takes for ever; too large, "
        "and a step goes past the minimum and {loss} grows."
    ),
    "backward.sought": "What is sought: {derivatives}.",
    "backward.symmetric": (
        "A second derivative is the same in either order of its two parameters, so that each pair stands "
        "here once."
    ),
    "backward.introduction": (
        "Each group of steps leads to one derivative, whose line is marked; it may use those found before "
        "it. A step after the marked line writes the same out in full."
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
        "A prime marks the value after the step. The optimizer is {optimizer}; its settings, unless told "
        "otherwise, are {settings}."
    ),
    "update.here": "A prime marks the value after the step. The optimizer is {optimizer}, with {settings}.",
    "update.count": " The steps are counted by {step}, from 1.",
    "initial.introduction": (
        "Weights start at random, as otherwise all units of a layer would learn the same; their variance "
        "decides whether a signal keeps its strength from layer to layer. Biases, if any, start at 0."
    ),
    "initial.line": "With {initializer}, for {activations}, {variances}. {reason}",
    "initial.plain": "With {initializer}, {variances}. {reason}",
    "initial.variance": "the variance of {weights} is {formula}",
    "initial.both": (
        "A unit adds up as many terms as it has inputs, so the variance 1/inputs keeps the strength of the "
        "signal; on the way back an error adds up as many terms as there are outputs. This is a compromise "
        "between the two."
    ),
    "initial.half": (
        "A unit adds up as many terms as it has inputs. Of the strength of a normal signal, its mean square, "
        "{shares}; the factor 2 makes up for one half."
    ),
    "initial.share": "{activation} passes on {share}",
    "initial.relu": (
        "A unit adds up as many terms as it has inputs; relu passes on one half of the mean square of a "
        "normal signal, which the factor 2 makes up for."
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
    "rule.closed form": "Through the output",
    "rule.simplification": "Simplification",
    "rule.folding": "Through a known value",
    "rule.product": "Insertion",
    "rule.contraction": "Sum over what it feeds",
    "rule.cancellation": "Cancellation",
    "rule.fact": "Assumption",
    "rule.no path": "No path",
    "rule.no effect": "No effect",
    "rule.substitution": "Insertion",
    "rule.stable form": "Stable form",
    "rule.batch mean": "Batch mean",
    "rule.update": "Update",
    "rule.kept": "Rescaling",
    "rule.rescaling": "Rescaling",
    # what was done, and why it may be done
    "chain.one": "{loss} depends on {quantity} only through {through}.",
    "chain.feeds": "{quantity} feeds every {through}, so the changes add up over {indices}.",
    "chain.ways": "{loss} depends on {quantity} in several ways, through {through}: their changes add up.",
    "chain.direct": "{loss} depends on {quantity} through {through} and directly: both changes add up.",
    "chain.several": "{loss} depends on {quantity} through {through} and directly: all changes add up.",
    "local.plain": "Differentiate {number} with respect to {quantity}.",
    "local.sum": (
        "Differentiate {number} with respect to {quantity}; only the term that contains it remains."
    ),
    "local.term": "Differentiate the part of {number} that contains {quantity} itself.",
    "kink.kink": "At {place}, where there is a kink, it is taken as {value}.",
    "kink.jump": "At {place}, where there is a jump, it is taken as {value}.",
    "kink.first": "Of several that are equally large it goes to the first.",
    "kink.assumed": "{derivative} is taken as {value} where {place}, in {numbers}.",
    "assumed.fact": "{fact} for the targets of every sample, in {numbers}.",
    "local.delta": "Here {delta} is 1 where its two indices are equal, and 0 elsewhere.",
    "closed": "By {number} this can be written through {output}, which is known already.",
    "folding": "By {number} this contains the value of {quantity}, which is known already.",
    "folding.cancel": "By {number} terms cancel.",
    "simplification": "The same, in a shorter form.",
    "insert": "Insert {numbers}.",
    "insert.sum": "Insert {numbers}: what is left is a sum over {indices}, over all that {quantity} feeds.",
    "insert.delta": "Insert {numbers}; {delta} picks one term out of the sum.",
    "insert.cancel": "Insert {numbers}; equal factors above and below the fraction bar cancel.",
    "insert.shorter": "Insert {numbers}; what divided there is gone.",
    "cancel": "Equal factors above and below the fraction bar cancel.",
    "no effect": "The derivative is 0 for all that {quantity} feeds.",
    "no path": "{loss} does not depend on {quantity}: nothing on the way to {loss} reads it.",
    "fact": "{fact}: this is assumed of the data.",
    "stable": "In place of {number}.",
    "batch": "The mean of {number} over the samples.",
    "update.state": "There is one {quantity} for each component; it starts at 0.",
    "update.parameter": "The new value of {quantity}.",
    "update.mean": (
        "{quantity} is a running mean of {of}: the derivative of a single batch is noisy, its mean tells "
        "the way."
    ),
    "update.mean_square": (
        "{quantity} is a running mean of {of}: it tells how large the derivative usually is, whatever its "
        "sign."
    ),
    "update.total": (
        "{quantity} is the sum of {of} over all steps so far: the more a component has moved, the shorter "
        "its steps become."
    ),
    "update.velocity": (
        "{quantity} adds up the derivatives so far, each counting {share} times as much with every further "
        "step: what points the same way grows, what swings to and fro cancels."
    ),
    "update.scaled": (
        "Divided by the root, which is about as large as the derivative usually is, steps are about equally "
        "long for all components, whatever the scale of their derivatives."
    ),
    "update.corrected": (
        "Both means start at 0 and are too small at first; divided by {correction1} and {correction2} they "
        "are the true means of the steps so far."
    ),
    "update.ahead": "The new derivative counts once more: the step looks to where the sum will carry it.",
    "update.decay": (
        "The term {decay} comes from no derivative: it makes weights a little smaller in every step."
    ),
    "trainer.introduction": (
        "The gradient and the update above are all of the mathematics. The trainer may also shorten a "
        "gradient that is too long (clipping), make weights smaller in every step (decay) and change the "
        "learning rate from step to step (a schedule); these are its options, and no derivative depends on "
        "them."
    ),
    "rescaling.definition": (
        "The trainer keeps {new} in place of {old}, which saves a multiplication for each component."
    ),
    "rescaling.equation": "{number}, with {old} written through {new}.",
    # a worked example
    "trace.title": "A worked example: {title}",
    "trace.introduction": (
        "Below each equation stand its numbers: first with every letter replaced by its number, then the "
        "result. They are shown with {digits} significant digits and computed with about sixteen. Of a long "
        "array the first components are worked out, and the array follows with its middle left out. What "
        "came out stands together at the end."
    ),
    "trace.results": "What came out",
    "trace.quantity": "Quantity",
    "trace.value": "Value",
    "trace.samples": (
        "There are {count} samples. What differs from sample to sample is worked out for the first of them "
        "and then listed for all."
    ),
    "trace.drawing": (
        "In the drawing each line has its weight where it begins, and where it ends, in red, the derivative "
        "of {loss} for that weight; above a unit stands what it gives out, below it, in red, the derivative "
        "for its pre-activation."
    ),
    "trace.rate": "The learning rate is {rate}.",
    "trace.frozen": "In the step {parameters} stay as they are.",
    "trace.all": "all samples: ",
    "trace.after": "{forward} once more, with the new values. Before the step {loss} was {before}.",
    "trace.order": (
        "The derivatives belong to the old values, so all parameters move at once, after the last of them "
        "is known. If {moved} moved first, {result} would read the new values, and another figure, a wrong "
        "one, would come out of {number}: {wrong} instead of {right}. After such a step {loss} would be "
        "{after}; if the equations were evaluated anew after {moved} has moved, {repeated}."
    ),
    "rule.after step": "After the step",
    "rule.order": "The order of the updates",
    # an exercise
    "exercise.title": "An exercise: {title}",
    "exercise.introduction": (
        "{count} right sides are left out and marked by a question mark and the number of the blank. Work "
        "them out; below each blank stand its rule and a hint. The solution is at the end."
    ),
    "exercise.mark": "blank {number}",
    "exercise.blank": "Blank (equation)",
    "exercise.solution": "Solution",
    # what a picture shows, for those who do not see it
    "drawing.alike": "layers {first} to {last}, all alike",
    "drawing.title": "The network {network}",
    "drawing.dense": (
        "Columns of units from left to right: {columns}; at the right the error E. Every unit feeds each "
        "unit of the next column."
    ),
    "drawing.inputs": "the inputs ({units})",
    "drawing.layer": "a layer of {units} with {activation}",
    "drawing.graph": "Boxes from left to right, with an arrow from each quantity to what reads it: {arrows}.",
    "drawing.reads": "{quantity} reads {reads}",
    "drawing.unit": "Unit {quantity} with {letters}",
    "drawing.weight": "Weight {quantity} with {letters}, from unit {source} to unit {target}",
    "drawing.bias": "Bias {quantity} with {letters}, of unit {unit}",
    "drawing.input": "Input {quantity}",
    "drawing.target": "Target {quantity}",
    "drawing.parameter": "Parameter {quantity}",
    "drawing.quantity": "Quantity {quantity}",
    "drawing.output": "Output {quantity}",
    "drawing.loss": "Error {quantity}",
    # what a page says beside the derivation
    "notebook.network": "This makes the network and derives it: each formula below is one of its steps.",
    "notebook.heading": "Compared with differences",
    "notebook.check": (
        "Along a random direction, E changes by the sum of all derivatives times that direction. First "
        "stands what the generated code computes by these formulas, then a difference quotient of E alone."
    ),
    "page.language": "en",
    "page.choose": (
        "Choose a weight or a unit, with the mouse or with Tab and Enter: the paths light up along which the "
        "error flows back to it, and its derivative stands here."
    ),
    "page.way": "With every factor on the way of the error:",
    "page.ways": "The error comes on {count} ways, which add up; with every factor:",
    "page.many_ways": "The error comes on {count} ways, which add up; one of them, with every factor:",
    "page.all_ways": "The error comes on {count} ways, which add up.",
    "page.contents": "Contents",
    "page.skip": "Skip to the derivation",
    "page.copy": "Copy as LaTeX",
    "page.copied": "Copied",
    "page.fold": "Fold all steps",
    "page.unfold": "Unfold all steps",
    "page.probe_heading": "Move one weight",
    "page.probe_introduction": (
        "Choose a component w of a parameter and move it by Δw; all others stay. E is computed anew by the "
        "forward equations. To first order it changes by g·Δw, where g is the derivative of E with respect "
        "to w: the smaller the move, the better the two agree."
    ),
    "page.probe_component": "Component",
    "page.probe_change": "Move",
    # parts of sentences, and words inside formulas
    "list.between": ", ",
    "list.last": " and ",
    "word.if": "if {condition}",
    "word.otherwise": "otherwise",
    "word.and": "and",
    "word.or": "or",
    "word.not": "not",
}
