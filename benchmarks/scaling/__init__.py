"""What training on several devices costs: predicted, and measured with processes here."""
