"""What a document says of the derivatives in a network's own equations, and of values that are held.

In go the ``Sentences`` of a derivation, out come lines behind its equations, and the groups of the steps that
lead to those derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sympy import Derivative, Expr

from symbackprop.document.blocks import EquationBlock, Group
from symbackprop.document.sentences import Sentences
from symbackprop.equations.steps import Derived
from symbackprop.printing.text import TextPrinter


def forwards(sentences: Sentences) -> list[EquationBlock]:
    """Return the forward equations, with a line behind each that is a derivative or ends derivatives."""
    names = {sentences.style.label(number): name for name, number in sentences.derivation.labels.items()}
    own = [
        replace(block, lines=(*block.lines, *_lines(sentences, names.get(block.label, ""))))
        for block in sentences.forwards()
    ]
    return [*own, *_in_use(sentences)]


def _in_use(sentences: Sentences) -> list[EquationBlock]:
    """Return the equations of the network in use that are none of training, and the forms to compute them."""
    use = sentences.derivation.use
    if use is None or not use.steps:
        return []
    own = _sentences(sentences, use)
    new = {step.target: use.system.definitions[step.target] for step in use.steps}
    blocks = own.forwards([e for e in use.system.equations if e.name in new])
    said = replace(blocks[0], section=sentences.say("use.section"), note=sentences.say("use.introduction"))
    known = {step.number for step in (*sentences.derivation.stable, *sentences.derivation.batch)}
    forms = [step for step in (*use.stable, *use.batch) if step.number not in known]
    computed = [EquationBlock(own.style.label(s.number), own.formula(s.lhs, s.rhs, True)) for s in forms]
    if computed:
        computed[0] = replace(computed[0], note=sentences.say("use.computed"))
    blocks = [replace(each, section="") for each in blocks[1:]]
    return [said, *blocks, *computed]


def _lines(sentences: Sentences, name: str) -> Iterator[str]:
    """Yield what there is to say of a quantity."""
    system = sentences.system
    meaning = system.derivatives.get(name)
    definition = system.definitions.get(name)
    if definition is not None and meaning is not None and meaning.is_named:
        derivative = sentences.inline(Derivative(meaning.of, meaning.to))
        yield sentences.say(
            "value.none" if definition.rhs == 0 else "value.derivative",
            quantity=sentences.inline(meaning.at),
            derivative=derivative,
            of=sentences.inline(meaning.of),
            variable=sentences.inline(meaning.to),
        )
    model = sentences.derivation.model
    for state, new in model.states.items() if model is not None else ():
        if new == name and definition is not None:
            at = system.quantities[state].at(definition.indices)
            yield sentences.say("value.left", state=sentences.inline(at))
    if definition is not None and system.quantities[name].held:
        yield sentences.say("value.held", quantity=sentences.inline(definition.lhs))


def groups(sentences: Sentences) -> list[Group]:
    """Return the steps to the derivatives in the equations, then those to the derivatives of the error."""
    found: list[Group] = []
    for inner in _inner(sentences):
        first, *others = inner.groups()
        assert inner.derivation.root is not None
        found += [replace(first, section=_title(sentences, inner.derivation.root)), *others]
    own = sentences.groups()
    if found and own and not own[0].section:
        loss = sentences.system.quantities[sentences.system.loss].symbol
        own[0] = replace(own[0], section=_title(sentences, loss))
    return [*found, *own]


def facts(sentences: Sentences) -> list[str]:
    """Return the facts about the data that the steps to the derivatives in the equations rest on."""
    return [said for inner in _inner(sentences) for said in inner.facts()]


def assumptions(sentences: Sentences) -> list[str]:
    """Return what the steps to the derivatives in the equations assume."""
    return [said for inner in _inner(sentences) for said in inner.assumptions()]


def _inner(sentences: Sentences) -> Iterator[Sentences]:
    """Yield the sentences of each derivation behind the equations."""
    yield from (_sentences(sentences, derived) for derived in sentences.derivation.inner)


def _sentences(sentences: Sentences, derived: Derived) -> Sentences:
    """Return the sentences on another derivation of the same document."""
    axes = {q.name: len(q.shape) for q in derived.system.quantities.values()}
    notation = sentences.style.printer.notation
    own = replace(
        notation, loss=derived.system.loss, adjoints=derived.adjoints, axes=axes, carried=derived.carried
    )
    return Sentences(derived, type(sentences.style)(own, derived), sentences.catalogue)


def _title(sentences: Sentences, of: Expr) -> str:
    """Return the heading of the steps to the derivatives of a quantity, as plain text."""
    shown = TextPrinter(sentences.style.printer.notation).show(of)
    return sentences.say("value.section", of=sentences.style.escape(shown))
