"""A folder of pictures in the browser, with one command."""
