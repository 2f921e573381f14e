"""The runtime of generated modules: ordinary Python, put into each of them as it stands.

What differs between networks is said by the constants of ``network``, which every module states
above this text; the one here is generated for a small network, so that the runtime can be imported
and tested.
"""
