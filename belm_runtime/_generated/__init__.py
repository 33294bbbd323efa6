"""Generated coefficient functions: written by `belm generate`, never by hand."""
