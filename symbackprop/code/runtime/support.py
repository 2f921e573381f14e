"""Functions that a module has above its runtime, each where something calls it."""

import numpy as np

from symbackprop.code.runtime.network import PARAMETER_SHAPES


def _zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return zeros from the beginning of a line of the processor's cache, for speed."""
    size = int(np.prod(shape))
    room = np.zeros(size + 64 // dtype.itemsize, dtype)
    begin = -room.ctypes.data % 64 // dtype.itemsize
    return room[begin : begin + size].reshape(shape)


def _by_turns(layers: range, *arrays: np.ndarray) -> dict[int, np.ndarray]:
    """Return an array for each layer; layers far enough apart have the same."""
    return {layer: arrays[layer % len(arrays)] for layer in layers}


def _put(out: np.ndarray, values: np.ndarray | float, where: np.ndarray) -> None:
    """Set out to values where a condition holds.

    NumPy asks for each number whether to copy it: that takes up to ten times as long,
    as a processor can't guess the answers.
    """
    if out.size < 1024 or out.itemsize > 8:
        np.copyto(out, values, where=where)
        return
    if not where.any():
        return
    bits = out.view(f"i{out.itemsize}")
    new = np.asarray(values, out.dtype).view(bits.dtype)
    bits ^= new  # these are the bits that change, where they are to
    bits *= np.logical_not(where)
    bits ^= new


def _uniform(generator: np.random.Generator, name: str, variance: float) -> np.ndarray:
    limit = np.sqrt(3 * variance)
    return generator.uniform(-limit, limit, PARAMETER_SHAPES[name])


def _normal(generator: np.random.Generator, name: str, variance: float) -> np.ndarray:
    return generator.normal(0, np.sqrt(variance), PARAMETER_SHAPES[name])


def _orthogonal(generator: np.random.Generator, name: str) -> np.ndarray:
    rows, columns = PARAMETER_SHAPES[name]
    square = generator.normal(size=(max(rows, columns), min(rows, columns)))
    directions, triangle = np.linalg.qr(square)
    directions *= np.sign(np.diag(triangle))  # makes every rotation equally likely
    return directions if rows >= columns else directions.T


_ERF_NEAR = (
    # erf(z)/z as a polynomial in z², for |z| up to 1
    -7.795898827002142e-10, 1.3720064546777686e-08, -1.6208483801871705e-07,
    1.6447424703317362e-06, -1.492473690741966e-05, 0.00012055294904839707,
    -0.0008548325975389692, 0.0052239776071164225, -0.02686617064323777,
    0.11283791670945006, -0.37612638903183543, 1.1283791670955126,
)  # fmt: skip
_ERF_FAR = (
    # log((1 + z/2) erfc(z)) + z² as a polynomial in 9.6/(2 + z) - 2.2, for z from 1 to 6
    6.971521082137717e-12, -2.4944763820833785e-11, -1.0292374797044583e-10,
    7.27781750751347e-10, 5.094778498180579e-10, -1.460651853459555e-08,
    1.4524347300627904e-08, 2.564373734449632e-07, -6.019924001109505e-07,
    -4.527152133600417e-06, 1.6041266348882173e-05, 9.56000637579709e-05,
    -0.0004014712041645086, -0.0031116996674214266, 0.010174695380256196,
    0.2765835893613121, -0.7274922853522042,
)  # fmt: skip
_ERF_32 = (
    # artanh(erf(z))/z - 1 as a polynomial in z², with the digits of float32, for |z| up to 4
    -1.640734548224998e-09, 5.391632384998957e-08, -5.150982360646594e-07,
    -1.8610012375575025e-06, 7.648927567061037e-05, -0.0006036802660673857,
    -0.00020215249969623983, 0.10277131199836731, 0.1283792023203103,
)  # fmt: skip


def _erf(z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the error function of z, to rounding; NumPy has none."""
    z = np.asarray(z)
    at_hand = out is not None and out.flags.c_contiguous
    value = out if out is not None and at_hand else np.empty(z.shape, z.dtype)
    given, found = z.reshape(-1), value.reshape(-1)
    of_few = _erf_of_few if z.dtype.itemsize > 4 else _erf_of_few_32
    count = 65536 // z.itemsize  # what is in the cache takes half the time
    for begin in range(0, z.size, count):
        part = slice(begin, begin + count)
        of_few(given[part], found[part])
    if out is not None and not at_hand:
        np.copyto(out, value)
    return value if out is None else out


def _erf_of_few(z: np.ndarray, out: np.ndarray) -> None:
    size = np.abs(z)
    inside = size < 1
    near = np.clip(z, -1, 1)
    series = _polynomial(_ERF_NEAR, np.square(near))
    series *= near
    far = np.clip(size, 1, 6)  # from there on it is 1 in every digit
    rest = _polynomial(_ERF_FAR, 9.6 / (2 + far) - 2.2)
    rest = np.exp(rest - np.square(far))
    rest /= 1 + far / 2
    series *= inside  # a choice would take ten times as long: it goes number by number
    np.add(series, np.copysign(1 - rest, z) * ~inside, out=out)


def _erf_of_few_32(z: np.ndarray, out: np.ndarray) -> None:
    near = np.clip(z, -3.85, 3.85)
    value = _polynomial(_ERF_32, np.square(near))
    value *= near
    value += near  # added last, so that it is rounded once
    value -= 8 * (near - z)  # further out it is soon 1 in every digit
    np.tanh(value, out=out)  # of an error in what it is given it keeps a part


_LOG_GAMMA = (
    -3617 / 122400,
    1 / 156,
    -691 / 360360,
    1 / 1188,
    -1 / 1680,
    1 / 1260,
    -1 / 360,
    1 / 12,
)  # z log Γ(z), without what else stands below, in powers of 1/z², for z from 8 on


_DIGAMMA = (
    3617 / 8160,
    -1 / 12,
    691 / 32760,
    -1 / 132,
    1 / 240,
    -1 / 252,
    1 / 120,
    -1 / 12,
)  # z² digamma(z), without what else stands below, in powers of 1/z², for z from 8 on


def _lgamma(z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return log |Γ(z)|; NumPy has none."""
    left, turned, near, far = _from_eight(z)
    value = (far - 0.5) * np.log(far) - far + 0.5 * np.log(2 * np.pi)
    value += _polynomial(_LOG_GAMMA, np.square(1 / far)) / far
    value -= np.log(np.prod([near + k for k in range(8)], axis=0)) * (near < 8)
    value = np.where(
        left, np.log(np.pi / np.abs(np.sin(np.pi * turned))) - value, value
    )
    return _given(value, z, out)


def _digamma(z: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Return the derivative of log |Γ| at z; NumPy has none."""
    left, turned, near, far = _from_eight(z)
    value = (
        np.log(far)
        - 0.5 / far
        + _polynomial(_DIGAMMA, np.square(1 / far)) / np.square(far)
    )
    value -= np.sum([1 / (near + k) for k in range(8)], axis=0) * (near < 8)
    value = np.where(left, value - np.pi / np.tan(np.pi * turned), value)
    return _given(value, z, out)


def _from_eight(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return where z is below 0, its part there, 1 - z or z up to 8, and the same from 8 on."""
    double = np.asarray(z, np.float64)
    left = double < 0
    right = np.where(left, 1 - double, double)
    far = np.where(right < 8, right + 8, right)
    return (
        left,
        np.where(left, double - np.rint(double), 0.5),
        np.minimum(right, 8),
        far,
    )


def _given(value: np.ndarray, z: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Return ``value`` as numbers of the type of z, in ``out`` if there is one."""
    if out is None:
        return value.astype(np.asarray(z).dtype)
    np.copyto(out, value, casting="same_kind")
    return out


def _polynomial(coefficients: tuple[float, ...], z: np.ndarray) -> np.ndarray:
    first, *others = coefficients
    value = first * z
    for coefficient in others[:-1]:
        value += coefficient
        value *= z
    value += others[-1]
    return value
