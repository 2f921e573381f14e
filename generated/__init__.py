"""Generated modules, committed: `make update-generated` writes them anew."""
