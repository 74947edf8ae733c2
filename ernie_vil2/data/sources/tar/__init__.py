"""Tar shards in webdataset's layout: index, source, writer."""
