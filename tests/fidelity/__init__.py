"""Stored values against those of other decoders: `make fidelity DATA=folder`; a short form in the suite."""
