"""Initialisers: a distribution with mean 0, and its variance from fan-in and fan-out."""

from __future__ import annotations

from symbackprop.equations.model import Initializer

_BOTH, _HE, _LECUN, _SMALL = "2 / (fan_in + fan_out)", "2 / fan_in", "1 / fan_in", "0.05**2"
_TABLE = (
    Initializer("xavier_uniform", "uniform", _BOTH, "Glorot, Bengio 2010", "both"),
    Initializer("xavier_normal", "normal", _BOTH, "Glorot, Bengio 2010", "both"),
    Initializer("he_uniform", "uniform", _HE, "He, Zhang, Ren, Sun 2015", "half"),
    Initializer("he_normal", "normal", _HE, "He, Zhang, Ren, Sun 2015", "half"),
    Initializer("lecun_uniform", "uniform", _LECUN, "LeCun, Bottou, Orr, Müller 1998", "forward"),
    Initializer("lecun_normal", "normal", _LECUN, "LeCun, Bottou, Orr, Müller 1998", "forward"),
    Initializer("orthogonal", "orthogonal", "1 / max(fan_in, fan_out)", "Saxe et al. 2014", "length"),
    Initializer("normal", "normal", _SMALL, "a small number, whatever the layer", "small"),
    Initializer("uniform", "uniform", _SMALL, "a small number, whatever the layer", "small"),
    Initializer("zeros", "zeros", "0", "all units alike: for comparison only", "none"),
)

INITIALIZERS: dict[str, Initializer] = {initializer.name: initializer for initializer in _TABLE}

FAMILIES = {"xavier": "xavier_uniform", "he": "he_normal", "lecun": "lecun_normal"}
"""The member of a family that its name alone stands for."""
