"""Random networks in index notation, composed from every construct of the notation.

A network grows by layers.  Each reads quantities that are there and defines a new one, so that any layer
may follow any other; in the end everything that nobody reads goes into the loss, through a free cotangent,
a target, labels or a penalty.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

ELEMENTWISE = [
    "tanh",
    "sigmoid",
    "relu",
    "leaky_relu",
    "elu",
    "softplus",
    "softsign",
    "silu",
    "gelu",
    "mish",
    "gaussian",
    "arctan",
    "softshrink",
    "sin",
]
FORMULAS = (
    "{0}*sigmoid(1.5*{0})",
    "sqrt({0}**2 + 1)",
    "log(1 + {0}**2)",
    "where({0} > 0.1, {0}**2, 0.3*{0})",
    "max({0}, 0.2) - min({0}, -0.1)",
    "exp(-abs({0}))",
    "{0}/(1 + {0}**2)",
    "tanh({0})**2 + 0.5*{0}",
    "where(-0.5 < {0} < 0.5 or {0} > 1, {0}, 0.1)",
)
NAMES = [a + b for a, b in product("abcdefghijklopqrstuvwxyz", ["", *"abcdefghijklopqrstuvwxyz"])]
NAMES = [name for name in NAMES if len(name) == 1] + [
    name for name in NAMES if len(name) == 2 and name not in ("if", "is", "or", "as", "pi")
]
SAMPLES = "n"
COUNT = 5  # of samples


@dataclass
class Layers:
    """Writes one network; every quantity has the ranges of its axes, each named by its first letter."""

    rng: np.random.Generator
    sizes: dict[str, int] = field(default_factory=lambda: {SAMPLES: COUNT})
    letters: dict[str, list[str]] = field(default_factory=lambda: {SAMPLES: [SAMPLES, "m"]})
    axes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: list[str] = field(default_factory=list)  # real quantities that a layer may read
    parameters: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    declarations: list[str] = field(default_factory=list)
    equations: list[str] = field(default_factory=list)
    constructs: set[str] = field(default_factory=set)
    numbers: dict[str, float | tuple[float, ...]] = field(default_factory=dict)

    # ------------------------------------------------------------ choices and names

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def range_of(self, size: int) -> str:
        letter = next(name for name in NAMES if name not in self.all_letters)
        self.sizes[letter] = size
        self.letters[letter] = [letter]
        return letter

    @property
    def all_letters(self) -> set[str]:
        return {letter for letters in self.letters.values() for letter in letters}

    def small(self) -> int:
        return int(self.rng.integers(2, 5))

    def letter(self, of: str, *taken: str) -> str:
        """Return a letter of a range that is not among those that are taken."""
        for letter in self.letters[of]:
            if letter not in taken:
                return letter
        new = next(name for name in NAMES if name not in self.all_letters)
        self.letters[of].append(new)
        return new

    def left(self, axes: Sequence[str]) -> list[str]:
        """Return different letters for the axes of a new quantity."""
        found: list[str] = []
        for axis in axes:
            found.append(self.letter(axis, *found))
        return found

    def declare(self, kind: str, prefix: str, axes: Sequence[str], start: str = "") -> str:
        name = f"{prefix}{len(self.axes)}"
        self.axes[name] = tuple(axes)
        self.declarations.append(f"{kind} {at(name, self.left(axes))}{start}")
        if kind == "parameter":
            self.parameters.append(name)
        return name

    def parameter(self, *axes: str) -> str:
        """Return a new parameter, or at times one that is there already."""
        old = [name for name in self.parameters if self.axes[name] == axes]
        if old and self.chance(0.3):
            self.constructs.add("tied weights")
            return self.pick(old)
        starts = ["", "", " = uniform(0.5)", " = normal(0.4)", " = 0.7"]
        starts += [" = xavier", " = he"] if len(axes) > 1 else []
        return self.declare("parameter", "w", axes, self.pick(starts))

    def define(self, axes: Sequence[str], value: str, letters: Sequence[str] | None = None) -> str:
        name = f"q{len(self.axes)}"
        self.axes[name] = tuple(axes)
        self.equations.append(f"{at(name, self.left(axes) if letters is None else letters)} = {value}")
        self.values.append(name)
        self.unread.append(name)
        return name

    def read(self, name: str, letters: Sequence[str]) -> str:
        if name in self.unread:
            self.unread.remove(name)
        return at(name, letters)

    def source(self, low: int = 1, high: int = 4) -> str | None:
        """Return a quantity of the samples with so many axes beside theirs, the latest ones more often."""
        fitting = [
            q for q in self.values if self.axes[q][:1] == (SAMPLES,) and SAMPLES not in self.axes[q][1:]
        ]
        fitting = [q for q in fitting if low <= len(self.axes[q]) - 1 <= high]
        fresh = [q for q in fitting if q in self.unread]
        fitting = fresh if fresh and self.chance(0.7) else fitting
        return self.pick(fitting) if fitting else None

    def like(self, name: str, other: str) -> bool:
        return set(self.axes[other]) <= set(self.axes[name]) and len(set(self.axes[name])) == len(
            self.axes[name]
        )

    def activated(self, value: str) -> str:
        return f"{self.pick(ELEMENTWISE)}({value})" if self.chance(0.5) else value

    # ------------------------------------------------------------ layers

    def dense(self) -> bool:
        q = self.source(1, 3)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        summed = [letters[-1], *([letters[-2]] if len(letters) > 3 and self.chance(0.5) else [])]
        kept = [i for i in letters if i not in summed]
        ranges = [self.axes[q][letters.index(i)] for i in summed]
        unit = self.range_of(self.small())
        w = self.parameter(*ranges, unit)
        if self.chance(0.15):
            self.constructs.add("normalised weights")
            size = self.define(
                [unit], f"sqrt(sum({at(w, [*summed, unit])}**2, {', '.join(summed)}) + 0.1)", [unit]
            )
            scaled = f"{at(w, [*summed, unit])}/{self.read(size, [unit])}"
            w = self.define([*ranges, unit], scaled, [*summed, unit])
        x, v = self.read(q, letters), self.read(w, [*summed, unit])
        over = ", ".join(summed)
        body = self.pick(
            [
                *[f"sum({x}*{v}, {over})"] * 4,
                f"mean({x}*{v}, {over})",
                f"sum(({x} - {v})**2, {over})/3",
                f"sum(tanh({x}*{v}), {over})",
                f"sum(where({x} > {v}, {x}, 0.5*{v}), {over})",
                f"max({x}*{v}, {over})",
                f"log(sum(exp({x}*{v}), {over}))",
                f"sum(abs({x} - {v}), {over})/2",
            ]
        )
        axes = [*[self.axes[q][letters.index(i)] for i in kept], unit]
        if self.chance(0.6):
            body += f" + {at(self.parameter(unit), [unit])}"
        self.define(axes, self.activated(body), [*kept, unit])
        return True

    def elementwise(self) -> bool:
        q = self.source(0)
        if q is None:
            return False
        x = self.read(q, self.left(self.axes[q]))
        self.define(
            self.axes[q], self.pick([f"{self.pick(ELEMENTWISE)}({x})", self.pick(FORMULAS).format(x)])
        )
        return True

    def joined(self) -> bool:
        q = self.source(0)
        others = [o for o in self.values if q is not None and o != q and self.like(q, o)]
        if q is None or not others:
            return False
        other = self.pick(others)
        letters = self.left(self.axes[q])
        x = self.read(q, letters)
        z = self.read(other, [letters[self.axes[q].index(axis)] for axis in self.axes[other]])
        forms = ["{0} + {1}", "{0}*{1}", "{0}*sigmoid({1})", "{0} - 0.5*{1}", "{0}/(1 + {1}**2)"]
        forms += ["where({0} > {1}, {0}, {1})", "where({1} > 0 and {0} < 0.5, {0}*{1}, {0})", "max({0}, {1})"]
        self.define(self.axes[q], self.pick(forms).format(x, z))
        return True

    def scaled(self) -> bool:
        q = self.source(1)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        place = int(self.rng.integers(1, len(letters)))
        i, axis = letters[place], self.axes[q][place]
        x = self.read(q, letters)
        if self.chance(0.4):
            name = self.declare("constant", "c", [axis])
            numbers = tuple(round(float(v), 2) for v in self.rng.normal(size=self.sizes[axis]))
            self.numbers[name] = numbers
            self.declarations[-1] += f" = ({', '.join(map(str, numbers))},)".replace("(,", "(")
            self.define(self.axes[q], f"{at(name, [i])}*{x} + {x}**2/size({i})")
            return True
        w = self.parameter(axis, axis)  # read along its diagonal
        self.constructs.add("repeated index")
        self.define(self.axes[q], f"{at(w, [i, i])}*{x} + {at(w, ['0', i])}")
        return True

    def reduced(self) -> bool:
        q = self.source(1)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        place = int(self.rng.integers(1, len(letters)))
        i = letters[place]
        x = self.read(q, letters)
        forms = ["sum({0}, {1})", "mean({0}, {1})", "max({0}, {1})", "log(sum(exp({0}), {1}))"]
        forms += ["sqrt(sum({0}**2, {1}) + 0.1)", "max({0}, {1}) - mean({0}, {1})"]
        axes = [a for p, a in enumerate(self.axes[q]) if p != place]
        self.define(axes, self.pick(forms).format(x, i), [j for j in letters if j != i])
        return True

    def normalised(self) -> bool:
        q = self.source(1)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        batch = self.chance(0.3)
        place = 0 if batch else int(self.rng.integers(1, len(letters)))
        self.constructs.add("batch norm" if batch else "layer norm")
        i, rest = letters[place], [j for p, j in enumerate(letters) if p != place]
        axes = [a for p, a in enumerate(self.axes[q]) if p != place]
        x = self.read(q, letters)
        if self.chance(0.3):
            size = self.define(axes, f"mean({x}**2, {i})", rest)
            self.define(self.axes[q], f"{x}/sqrt({self.read(size, rest)} + epsilon)")
            return True
        mean = self.define(axes, f"mean({x}, {i})", rest)
        m = self.read(mean, rest)
        spread = self.define(axes, f"mean(({x} - {m})**2, {i})", rest)
        value = f"({x} - {m})/sqrt({self.read(spread, rest)} + epsilon)"
        if not batch and self.chance(0.6):
            w = self.parameter(self.axes[q][place])
            value = f"{at(w, [i])}*{value}"
        self.define(self.axes[q], value)
        return True

    def shares(self) -> bool:
        q = self.source(1)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        i = letters[int(self.rng.integers(1, len(letters)))]
        name = self.pick(["softmax", "softmax", "log_softmax"])
        self.define(self.axes[q], f"{name}({self.read(q, letters)}, {i})")
        return True

    def attention(self) -> bool:
        q = self.source(2, 3)
        if q is None:
            return False
        *rest, p, d = letters = self.left(self.axes[q])
        axes, places = self.axes[q][:-2], self.axes[q][-2]
        r = self.letter(places, *letters)
        if self.chance(0.5):
            e = self.range_of(self.small())
            wq, wk = self.parameter(self.axes[q][-1], e), self.parameter(self.axes[q][-1], e)
            x = self.read(q, letters)
            query = self.define([*axes, places, e], f"sum({x}*{at(wq, [d, e])}, {d})", [*rest, p, e])
            key = self.define([*axes, places, e], f"sum({x}*{at(wk, [d, e])}, {d})", [*rest, p, e])
        else:
            query, key, e = q, q, d
        product_of = f"sum({self.read(query, [*rest, p, e])}*{self.read(key, [*rest, r, e])}, {e})"
        score = f"{product_of}/sqrt(size({e}))"
        mask = self.pick(["", f"{r} <= {p}", f"not {r} > {p} and {r} + 2 > {p}", f"{r} != {p}"])
        if mask and (self.sizes[places] > 1 or "!=" not in mask):
            self.constructs.add("masked attention")
            score = f"where({mask}, {score}, -30)"  # small enough, as other layers may read it too
        pair = [*axes, places, places]
        s = self.define(pair, score, [*rest, p, r])
        g = self.define(pair, f"softmax({self.read(s, [*rest, p, r])}, {r})", [*rest, p, r])
        shared = f"{self.read(g, [*rest, p, r])}*{self.read(q, [*rest, r, d])}"
        self.define(self.axes[q], f"sum({shared}, {r})", letters)
        return True

    def convolution(self) -> bool:
        q = self.source(1, 3)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        places = [p for p in range(1, len(letters)) if self.sizes[self.axes[q][p]] >= 3]
        if not places:
            return False
        place = places[int(self.rng.integers(len(places)))]
        length, width = self.sizes[self.axes[q][place]], 2
        u = self.range_of(width)
        kind = self.pick(["valid", "stride", "dilated", "same", "flipped", "backwards"])
        self.constructs.add(f"convolution, {kind}")
        padded = kind in ("same", "backwards")
        count = {"valid": length - 1, "stride": (length - 2) // 2 + 1, "dilated": length - 2}.get(
            kind, length - 1
        )
        h = self.axes[q][place] if padded else self.range_of(count)
        at_h = letters[place] if padded else h
        index = {
            "valid": f"{at_h} + {u}",
            "stride": f"2*{at_h} + {u}",
            "dilated": f"{at_h} + 2*{u}",
            "same": f"{at_h} + {u} - 1",
            "flipped": f"{at_h} - {u} + 1",
            "backwards": f"size({at_h}) - 1 - {at_h} + {u}",
        }[kind]
        channel = [p for p in range(1, len(letters)) if p != place]
        summed = letters[channel[0]] if channel and self.chance(0.6) else None
        unit = self.range_of(self.small()) if self.chance(0.5) else None
        over = [u] if summed is None else [summed, u]
        ranges = [u] if summed is None else [self.axes[q][channel[0]], u]
        w = self.parameter(*ranges, *([unit] if unit else []))
        x = self.read(q, [index if p == place else i for p, i in enumerate(letters)])
        if padded:
            x = f"where(0 <= {index} < size({at_h}), {x}, 0)"
        body = self.pick(["sum({0}*{1}, {2})"] * 3 + ["sum(tanh({0} + {1}), {2})", "max({0}*{1}, {2})"])
        if padded and body.startswith("max"):
            body = "sum({0}*{1}, {2})"
        kept = [at_h if p == place else i for p, i in enumerate(letters) if i != summed]
        axes = [h if p == place else a for p, a in enumerate(self.axes[q]) if letters[p] != summed]
        value = body.format(x, at(w, [*over, *([unit] if unit else [])]), ", ".join(over))
        self.define([*axes, *([unit] if unit else [])], value, [*kept, *([unit] if unit else [])])
        return True

    def pooling(self) -> bool:
        q = self.source(1, 3)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        places = [p for p in range(1, len(letters)) if self.sizes[self.axes[q][p]] >= 4]
        if not places:
            return False
        place = places[int(self.rng.integers(len(places)))]
        u, h = self.range_of(2), self.range_of(self.sizes[self.axes[q][place]] // 2)
        x = self.read(q, [f"2*{h} + {u}" if p == place else i for p, i in enumerate(letters)])
        axes = [h if p == place else a for p, a in enumerate(self.axes[q])]
        kept = [h if p == place else i for p, i in enumerate(letters)]
        self.define(axes, f"{self.pick(['max', 'mean', 'sum'])}({x}, {u})", kept)
        return True

    def shifted(self) -> bool:
        q = self.source(1)
        if q is None:
            return False
        letters = self.left(self.axes[q])
        place = int(self.rng.integers(1, len(letters)))
        i, size = letters[place], self.sizes[self.axes[q][place]]

        def at_place(index: str) -> str:
            return self.read(q, [index if p == place else j for p, j in enumerate(letters)])

        forms = [
            f"where({i} > 0, {at_place(f'{i} - 1')}, {at_place(i)})",
            f"{at_place(f'size({i}) - 1 - {i}')}*{at_place(i)}",
            f"where({i} + 1 < size({i}), {at_place(f'{i} + 1')} - {at_place(i)}, 0)",
            f"where({i} == 1 or {i} >= 3, {at_place(i)}, 0.2*{at_place('0')})",
            f"where({i} >= 1 and {at_place(i)} > 0, {at_place(f'{i} - 1')}, 0.1*{at_place(i)})",
            f"{at_place(str(size - 1))}*{at_place(i)}",
        ]
        self.define(self.axes[q], self.pick(forms))
        return True

    def embedding(self) -> bool:
        v, d = self.range_of(int(self.rng.integers(3, 6))), self.range_of(self.small())
        axes = [SAMPLES, *([self.range_of(self.small())] if self.chance(0.5) else [])]
        token = self.declare("integer input", "k", axes)
        table = self.parameter(v, d)
        letters = self.left(axes)
        t = at(token, letters)
        forms = [at(table, [t, d])] * 2
        forms += [f"where({t} + 1 < size({v}), {at(table, [f'{t} + 1', d])}, {at(table, [t, d])})"]
        forms += [f"where({t} == 1, 0.5, {at(table, [t, d])})"]
        body = self.pick(forms)
        if body == forms[3] or f"[{t}," not in body:
            body = f"{body} + 0.1*{at(table, [t, d])}"
        self.define([*axes, d], self.activated(body), [*letters, d])
        return True

    def recurrence(self) -> bool:
        q = self.source(2, 2)
        if q is None:
            return False
        n, _, k = self.left(self.axes[q])
        steps = min(self.sizes[self.axes[q][1]], 3)
        unit = self.range_of(self.small())
        other = self.letter(unit, unit)
        w, v = self.parameter(self.axes[q][2], unit), self.parameter(unit, unit)
        gate = self.parameter(unit) if self.chance(0.5) else None
        before = None
        for step in range(steps):
            drive = f"sum({self.read(q, [n, str(step), k])}*{at(w, [k, unit])}, {k})"
            if before is not None:
                drive += f" + sum({self.read(before, [n, other])}*{at(v, [other, unit])}, {other})"
            value = f"tanh({drive})"
            if before is not None and gate is not None:
                value = f"{value}*sigmoid({at(gate, [unit])}) + {self.read(before, [n, unit])}"
            before = self.define([SAMPLES, unit], value, [n, unit])
        if steps == 1 and v not in "".join(self.equations):
            self.equations[-1] += f" + 0*{at(v, [unit, unit])}"
        return True

    def outer(self) -> bool:
        q = self.source(1, 1)
        if q is None:
            return False
        n, i = self.left(self.axes[q])
        j = self.letter(self.axes[q][1], i)
        x, z = self.read(q, [n, i]), self.read(q, [n, j])
        if self.chance(0.4):
            w = self.parameter(self.axes[q][1], self.axes[q][1])
            self.define([SAMPLES], f"sum({x}*{at(w, [i, j])}*{z}, {i}, {j})", [n])
        elif self.chance(0.5):
            w = self.parameter(self.axes[q][1], self.axes[q][1])
            seen = f"where({i} <= {j}, {at(w, [i, j])}, 0)"
            self.define(self.axes[q], f"sum({x}*{seen}, {i})*{z}", [n, j])
        else:
            self.define([*self.axes[q], self.axes[q][1]], f"{x}*{z}", [n, i, j])
        return True

    def across_samples(self) -> bool:
        q = self.source(1, 1)
        if q is None:
            return False
        n, i = self.left(self.axes[q])
        kind = self.pick(["gram", "mean", "max", "neighbour"])
        self.constructs.add(f"over samples: {kind}")
        if kind == "gram":
            m = self.letter(SAMPLES, n)
            self.define(
                [SAMPLES, SAMPLES], f"sum({self.read(q, [n, i])}*{self.read(q, [m, i])}, {i})", [n, m]
            )
        elif kind == "neighbour":
            shifted = f"where({n} > 0, {self.read(q, [f'{n} - 1', i])}, 0)"
            self.define(self.axes[q], f"{self.read(q, [n, i])}*{shifted} + {self.read(q, [n, i])}")
        else:
            self.define([self.axes[q][1]], f"{kind}({self.read(q, [n, i])}, {n})", [i])
        return True

    # ------------------------------------------------------------ loss

    def term(self, q: str) -> str:
        """Return a term of the loss that reads ``q``, so that no derivative is lost in it."""
        axes = self.axes[q]
        letters = self.left(axes)
        x = self.read(q, letters)
        inner = ", ".join(letters[1:])
        if axes[:1] != (SAMPLES,):
            numbers = f"sum({x}**3/3 + {x}, {', '.join(letters)})" if letters else f"{x}**2"
            return f"0.3*{numbers}"
        if SAMPLES in axes[1:]:
            n, m = letters
            where = self.pick([f"{n} == {m}", f"{n} < {m}", f"{m} != {n} + 1"])
            return f"mean(where({where}, {x}**2/2 + {x}, 0), {n}, {m})"

        def mean(value: str) -> str:
            return f"mean(sum({value}, {inner}), n)" if inner else f"mean({value}, n)"

        kind = self.rng.random()
        if kind < 0.25:
            return mean(f"({x} - {at(self.declare('target', 't', axes), letters)})**2/2")
        if kind < 0.45 and len(axes) == 2:
            at_label = at(self.declare("integer target", "l", [SAMPLES]), ["n"])
            shares = self.define(axes, f"log_softmax({x}, {inner})", letters)
            return f"mean(-{self.read(shares, ['n', at_label])}, n)"
        if kind < 0.6 and len(axes) == 2:
            self.constructs.add("facts")
            target = at(self.declare("target", "t", axes), letters)
            self.declarations.append(f"assume 0 <= {target} <= 1")
            if self.chance(0.5):
                shares = self.define(axes, f"sigmoid({x})", letters)
                p = self.read(shares, letters)
                return mean(f"-{target}*log({p}) - (1 - {target})*log(1 - {p})")
            self.declarations.append(f"assume sum({target}, {inner}) == 1")
            shares = self.define(axes, f"softmax({x}, {inner})", letters)
            return mean(f"-{target}*log({self.read(shares, letters)})")
        cotangent = at(self.declare("input", "C", axes), letters)
        return mean(f"{cotangent}*{x}")

    def penalty(self) -> str:
        w = self.pick(self.parameters)
        letters = self.left(self.axes[w])
        over = ", ".join(letters)
        power = self.pick(["{0}**2/2", "abs({0})"])
        return f"decay*sum({power.format(at(w, letters))}, {over})" if letters else f"decay*{at(w, [])}**2"


def at(name: str, letters: Sequence[str]) -> str:
    return f"{name}[{', '.join(letters)}]" if letters else name


LAYERS: dict[str, Callable[[Layers], bool]] = {
    "dense": Layers.dense,
    "elementwise": Layers.elementwise,
    "joined": Layers.joined,
    "scaled": Layers.scaled,
    "reduced": Layers.reduced,
    "normalised": Layers.normalised,
    "shares": Layers.shares,
    "attention": Layers.attention,
    "convolution": Layers.convolution,
    "pooling": Layers.pooling,
    "shifted": Layers.shifted,
    "embedding": Layers.embedding,
    "recurrence": Layers.recurrence,
    "outer": Layers.outer,
    "across samples": Layers.across_samples,
}


@dataclass(frozen=True)
class RandomNet:
    """A text, its equations, and a number for every letter and constant."""

    text: str
    equations: list[str]
    sizes: dict[str, int]
    given_sizes: dict[str, int]
    numbers: dict[str, float | tuple[float, ...]]
    constructs: set[str]


def random_net(seed: int) -> RandomNet:
    net = Layers(np.random.default_rng(seed))
    for _ in range(1 + int(net.chance(0.4))):
        axes = [net.range_of(int(net.rng.integers(3, 7))) for _ in range(int(net.rng.integers(1, 4)))]
        net.values.append(net.declare("input", "x", [SAMPLES, *axes]))
        net.unread.append(net.values[-1])
    count = int(net.rng.integers(2, 6))
    names = list(LAYERS)
    while count or not net.parameters:
        name = net.pick(names)
        if name == "across samples" and not net.chance(0.35):
            continue
        if LAYERS[name](net):
            net.constructs.add(name)
            count = max(0, count - 1)
    terms = []
    while net.unread:
        terms.append(net.term(net.unread[0]))
    if net.chance(0.4):
        net.constructs.add("penalty")
        terms.append(net.penalty())
    net.equations.append(f"E = {' + '.join(terms)}")
    return finished(net)


def opened(made: RandomNet) -> tuple[str, dict[str, int]]:
    """Return the text, and the sizes that parameters have: the data give all others."""
    sizes = dict(made.given_sizes)
    lines = made.text.splitlines()
    for line in [line for line in lines if line.startswith("size ")]:
        lines.remove(line)
        sizes |= {name: int(number) for name, number in re.findall(r"(\w+) = (\d+)", line)}
    declared = " ".join(line for line in lines if line.startswith(("parameter ", "constant ")))
    fixed = set(re.findall(r"\w+", declared))
    return "\n".join(lines) + "\n", {name: number for name, number in sizes.items() if name in fixed}


def finished(net: Layers) -> RandomNet:
    body = "\n".join(net.equations)
    for name, number in (("epsilon", 0.05), ("decay", 0.1)):
        if name in body:
            net.declarations.append(f"constant {name} = {number}")
            net.numbers[name] = number
    outputs = [q for q in net.values if f"{q}[" in body and q.startswith("q")]
    fixed = {letter: size for letter, size in net.sizes.items() if letter != SAMPLES}
    beside = fixed if net.chance(0.3) else {}
    sizes = [] if beside else [f"size {', '.join(f'{i} = {size}' for i, size in fixed.items())}"]
    lines = [*net.declarations, *sizes, "", *net.equations, f"output {net.pick(outputs)}"]
    numbers = {letter: net.sizes[of] for of, letters in net.letters.items() for letter in letters}
    return RandomNet("\n".join(lines) + "\n", net.equations, numbers, beside, net.numbers, net.constructs)
