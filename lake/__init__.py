"""Delta tables: addresses, layout, commits, publishing and the ledger."""
