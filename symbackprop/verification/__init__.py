"""Checking a derivation that a person made: right, or wrong with numbers and the likely slip.

``claims`` reads what was written, ``decision`` lets the prover decide it, ``slips`` looks for the one change
that makes it right, and ``functions`` does the same for a gradient written in NumPy.
"""

from symbackprop.verification.decision import Verification, verify, verify_lines
from symbackprop.verification.functions import verify_function
from symbackprop.verification.slips import Slip

__all__ = ["Slip", "Verification", "verify", "verify_function", "verify_lines"]
