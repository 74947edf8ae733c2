"""What a run and a model are configured by."""
