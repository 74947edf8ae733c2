"""Parquet files: tables whose rows are read by groups of rows."""
