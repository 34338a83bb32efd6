"""The index: what is kept where. The only importer of SQLAlchemy."""
