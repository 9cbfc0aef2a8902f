"""`invoke report`: one page on the paper, for co-authors."""
