"""DICOMweb as a client: other archives that are stored to and fetched from over HTTP (PS3.18)."""
