"""Networks that models are made of."""
