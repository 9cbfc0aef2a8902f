"""A paper's rows into a database that is there already: plan, insert, verify, and take out again."""
