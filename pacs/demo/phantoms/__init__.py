"""Bodies made of formulas: numpy arrays in, numpy arrays out. Knows no DICOM."""
