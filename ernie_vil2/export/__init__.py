"""A way out: a model's towers for other runtimes, with all that their reader needs to know, checked by running them."""
