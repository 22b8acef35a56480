"""Generative models, one a file, behind one contract; the table MODELS names them."""
