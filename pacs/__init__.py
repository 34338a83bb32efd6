"""The archive: receives DICOM, keeps it byte for byte, indexes it and finds it again."""

__version__ = "0.1.0"
