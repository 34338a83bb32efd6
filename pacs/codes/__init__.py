"""National procedure codes: the tables that are shipped, and how a study gets its code."""
