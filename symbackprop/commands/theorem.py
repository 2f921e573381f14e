"""Backpropagation through L layers of any widths: the recursion for symbolic depth, and its proof.

The layer number ℓ is one more index, n[ℓ] the width of a layer.  Two systems are derived by the same
engine as any network:

- the base case, layer L with the error: it gives ∂E/∂s[L] and the derivatives for the parameters of layer L;
- the induction step, layers ℓ and ℓ+1, where nothing is known of the error but c = ∂E/∂s[ℓ+1]:
  for the pass backwards E = Σ_i c[i]·s[ℓ+1,i] is as good as E itself, by the chain rule.

In goes a ``Network`` whose sizes do not matter, out comes a ``Theorem``.  It is proved like any derivation,
and instantiated: at every layer of nets of some depths it has to equal their own derivation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sympy import Expr, IndexedBase, Sum, Symbol

from symbackprop.derivation.reverse_pass import derive_system
from symbackprop.equations.indices import substitute
from symbackprop.equations.model import Layer
from symbackprop.equations.steps import Derived, Step
from symbackprop.equations.system import Equation, EquationSystem, Quantity, name_of, quantity, sum_over
from symbackprop.errors import SpecificationError
from symbackprop.network.architecture import Architecture
from symbackprop.network.dense import network_equations
from symbackprop.network.network import Network
from symbackprop.printing.layers import Shift, Sides
from symbackprop.proof.prover import Verdict, prove

DEPTHS = range(1, 7)
"""The depths at which the theorem is compared with the derivation of a net of that depth alone."""
SEED = "c"
"""What the induction step calls the derivatives for the pre-activations of the layer behind."""


@dataclass(frozen=True)
class Theorem:
    """The recursion for L layers.

    ``base`` is about layer 2 of two, which stands for L; ``step`` about layer 1 with layer 2 behind it, which
    stand for ℓ and ℓ+1.  ``network`` has the activations and the error.
    """

    network: Architecture
    base: Derived
    step: Derived

    @property
    def behind(self) -> str:
        """The pre-activation of the layer behind, whose derivatives are called `SEED`."""
        return _named(self.step.system, "pre-activation", 2)

    @property
    def title(self) -> str:
        """The title of the theorem, plain text."""
        layers = self.network.layers
        return f"L layers: {layers[0].activation}, then {layers[-1].activation} with {self.network.loss}"

    def check(self) -> Check:
        """Prove every step, and compare the theorem with the derivations of `DEPTHS`."""
        verdicts = [*prove(self.base), *prove(self.step)]
        return Check(tuple(verdicts), tuple(depth for depth in DEPTHS if not self.holds_at(depth)))

    def holds_at(self, depth: int) -> bool:
        """Whether the theorem, for a net of ``depth`` layers, equals the derivation of that net alone."""
        concrete = derive_system(network_equations(_network_of_depth(self.network, depth)))
        pairs = [(self.base, 2, depth), *((self.step, 1, layer) for layer in range(1, depth))]
        return all(_says(template, own, concrete, layer) for template, own, layer in pairs)


@dataclass(frozen=True)
class Check:
    """The verdicts on all steps, and the depths at which the theorem does not hold."""

    verdicts: tuple[Verdict, ...]
    wrong_depths: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether every step is proved, and every depth agrees."""
        return not self.wrong_depths and all(verdict.holds for verdict in self.verdicts)

    def __str__(self) -> str:
        proved = sum(verdict.holds for verdict in self.verdicts)
        agrees = f"the nets of {DEPTHS[0]} to {DEPTHS[-1]} layers"
        if self.wrong_depths:
            agrees += f" but for {', '.join(map(str, self.wrong_depths))}"
        return f"{proved} of {len(self.verdicts)} steps are proved; instantiated, they agree with {agrees}"


def derive_theorem(network: Network) -> Theorem:
    """Derive the recursion for L layers with the activations, the error and the biases of ``network``.

    Raises:
        SpecificationError: equations, which have no layers; hidden layers of different activations, or a
            penalty, which is no part of it.
    """
    source = network.source
    if not isinstance(source, Architecture):
        raise SpecificationError("--depth: is about dense layers; write an architecture such as 2-3-1")
    activations = {layer.activation for layer in source.layers[:-1]}
    if len(activations) > 1:
        named = " and ".join(sorted(activations))
        raise SpecificationError(f"--depth: all hidden layers have the same activation, not {named}")
    if source.l1 or source.l2 or source.class_weights is not None:
        raise SpecificationError("--depth: leave out --l1, --l2 and --class-weights")
    of_two_layers = _network_of_depth(source, 2)
    two = network_equations(of_two_layers)
    return Theorem(of_two_layers, derive_system(_base(two)), derive_system(_step(two)))


def _network_of_depth(network: Architecture, depth: int) -> Architecture:
    """Return a net of ``depth`` layers with the activations and the error of ``network``."""
    hidden = network.layers[0].activation if network.depth > 1 else "sigmoid"
    activations = [hidden] * (depth - 1) + [network.layers[-1].activation]
    layers = tuple(Layer(units, activation) for units, activation in enumerate(activations, start=3))
    return replace(network, inputs=2, layers=layers, init=None)


def _base(two: EquationSystem) -> EquationSystem:
    """Return the last layer and the error, with the output of the layer before it as given."""
    equations = tuple(e for e in two.equations if two.layer(e.name) != 1)
    parameters = tuple(name for name in two.parameters if two.layer(name) == 2)
    # The derivative for the output before it is sought too: a quantity with two readers keeps its own name.
    return _part_of(two, equations, (*parameters, _named(two, "activation", 1)))


def _step(two: EquationSystem) -> EquationSystem:
    """Return a hidden layer and the pre-activations behind it, of which the error has the derivatives c."""
    equations = [e for e in two.equations if two.layer(e.name) == 1]
    behind = two.definitions[_named(two, "pre-activation", 2)]
    (i,) = behind.indices
    seed = quantity(SEED, *two.quantities[behind.name].shape)
    error = Equation(two.quantities[two.loss].symbol, sum_over(seed[i] * behind.lhs, (i, seed.shape[0])))
    parameters = tuple(n for n in two.parameters if two.layer(n) == 1 or two.kind(n) in ("weight", "bias"))
    return _part_of(two, (*equations, behind, error), (*parameters, _named(two, "input", 0)), (seed,))


def _named(system: EquationSystem, kind: str, layer: int) -> str:
    name = system.of_kind(kind, layer)
    assert name is not None
    return name


def _part_of(
    whole: EquationSystem,
    equations: tuple[Equation, ...],
    parameters: tuple[str, ...],
    further: Sequence[Quantity] = (),
) -> EquationSystem:
    known = {**whole.quantities, **{q.name: q for q in further}}
    names = {name for e in equations for side in (e.lhs, e.rhs) for name in _names_in(side)}
    quantities = {name: q for name, q in known.items() if name in names}
    defined = {e.name for e in equations}
    inputs = tuple(n for n in quantities if n not in defined and n not in parameters)
    return replace(
        whole,
        equations=equations,
        quantities=quantities,
        parameters=parameters,
        inputs=inputs,
        facts=tuple(fact for fact in whole.facts if name_of(fact.component) in quantities),
    )


def _names_in(expression: Expr) -> Iterator[str]:
    yield from (base.name for base in expression.atoms(IndexedBase))
    yield from (symbol.name for symbol in expression.free_symbols if isinstance(symbol, Symbol))


def _says(template: Derived, own: int, concrete: Derived, layer: int) -> bool:
    """Whether the results of layer ``own`` of a template are those of ``layer`` of a concrete net."""
    shift = Shift(concrete, template)
    for name in template.results:
        if template.system.layer(name) != own:
            continue
        moved = shift.name(name, layer - own)
        if moved is None or moved not in concrete.results:
            return False
        there = concrete.by_number[concrete.results[moved]]
        here = template.by_number[template.results[name]]
        forms: list[Sides] = [here, *_written_out(template, here)]
        if not any(shift.same_up_to_layer(form, there, layer - own) for form in forms):
            return False
    return True


def _written_out(template: Derived, step: Step) -> Iterator[Equation]:
    """Yield a result with adjoints written out, as a net does where nothing else reads them."""
    for name, target in template.adjoints.items():
        definition = template.by_number[template.results[target]]
        whole = Quantity(name, template.system.quantities[target].shape)
        if step.rhs.has(whole.symbol) and not definition.rhs.has(Sum):
            yield Equation(step.lhs, substitute(step.rhs, whole, Equation(definition.lhs, definition.rhs)))
