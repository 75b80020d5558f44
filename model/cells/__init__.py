"""The recurrent cells: one file each, and one table of them."""
