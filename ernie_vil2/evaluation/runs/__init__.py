"""What an evaluation found, kept with what is needed to get it again."""
