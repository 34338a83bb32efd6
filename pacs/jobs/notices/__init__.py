"""What peers are told besides images: found in the ledger, and told until they have taken it."""
