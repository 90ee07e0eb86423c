"""The page of a night: small tables, charts and one self-contained HTML file."""
