"""Processes that take turns at the same work, so that what else the machine does hits all of them."""
