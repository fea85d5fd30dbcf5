"""Parts of `scripts/build_docs.py`: the pages of the site, the reference, and what is checked."""
