"""Which views exist, and the contrastive loss over pairs of them."""
