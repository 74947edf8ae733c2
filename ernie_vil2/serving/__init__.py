"""The server of an index: an HTTP interface and the page that people search with."""
