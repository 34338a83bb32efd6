"""The ledger: what is true of the archive and stands in no DICOM object (storage/FORMAT.md)."""
