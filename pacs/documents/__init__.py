"""What instances say in words: structured reports, and documents that are encapsulated."""
