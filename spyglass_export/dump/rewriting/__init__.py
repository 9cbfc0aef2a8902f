"""What is changed in definitions, so that all rows load; rows themselves are never changed."""
