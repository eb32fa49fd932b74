"""The functional core: values and functions on the standard library; no I/O, no clock, no random."""
