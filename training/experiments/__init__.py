"""`tagbelt experiment`: what is claimed of recurrent cells, tried with those that train here."""
