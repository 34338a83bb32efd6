"""The Modality Worklist: C-FIND of the Basic Worklist Management Service Class (PS3.4 Annex K)."""
