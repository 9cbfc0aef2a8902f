"""From files to statements, tables and where their rows are."""
