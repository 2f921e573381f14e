"""The version of the package, which the header of a generated module names."""

VERSION = "0.1.0"
