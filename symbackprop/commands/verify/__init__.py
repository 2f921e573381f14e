"""Checking a derivation that a person made: right, or wrong with numbers and the likely slip."""
