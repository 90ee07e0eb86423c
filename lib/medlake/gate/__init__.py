"""The quality gate: OHDSI's checks of OMOP tables, resolved from what a table holds and computed in two scans."""
