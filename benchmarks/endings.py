"""Whether every derivation ends: `python -m benchmarks.endings --count 3000` draws that many random formulas.

They have constants of 1 to 6 digits.  Those that are neither refused as input nor derived and generated
within 20 s of processor time and 1 GiB are printed.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.endings import failures


def main() -> None:
    """Draw formulas and print those that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=3000, help="how many formulas")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began, failed = time.perf_counter(), 0
    for number, text, end, seconds in failures(
        options.seed, range(options.first, options.first + options.count)
    ):
        failed += 1
        print(f"{number}: {text}: {end}, {seconds:.1f} s", flush=True)
    print(f"{failed} of {options.count} failed, in {time.perf_counter() - began:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
