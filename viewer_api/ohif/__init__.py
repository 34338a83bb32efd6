"""OHIF, the radiologist's viewer, as an option: fetched by an operator, made fit for ``/ohif/``, and served.

Nothing of it is part of Filmless.
"""
