"""What is reported: populations, free energies, profiles, expectations, distances, and their intervals."""
