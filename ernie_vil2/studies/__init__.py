"""Questions that are answered by runs or timings."""
