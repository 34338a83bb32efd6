"""What STOW-RS takes in besides DICOM files: metadata in JSON or XML, and bulk data beside it."""
