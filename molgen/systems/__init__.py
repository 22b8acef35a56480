"""What is sampled: definitions, built-in systems, force fields."""
