"""The contents of pages and pictures about a person's own data, for `report` and `plot`."""
