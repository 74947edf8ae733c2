"""What a server tells of itself: metrics and its log."""
