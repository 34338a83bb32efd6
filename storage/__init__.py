"""Durable objects by key: bytes in, bytes out. Knows no DICOM.

``open_store(url)`` gives an :class:`~storage.store.ObjectStore`; the contract is in its docstrings and in
``FORMAT.md``, and one test suite holds every backend to it.
"""
