"""The command line: a module a verb, with its argument parser."""
