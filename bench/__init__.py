"""The benchmarks behind every figure in the documents: `python -m bench`."""
