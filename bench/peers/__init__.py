"""One night consolidated by other means: each module is a whole program, as written by hand."""
