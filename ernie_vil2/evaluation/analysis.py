"""What a report of retrieval is drawn from."""


def analyse(outcome):
    """Recall curves, histograms, thresholds and hardest errors of an Outcome with embeddings."""
    return {"recall": {}}


def check_analysis(analysis):
    """KeyError, TypeError or ValueError naming what is wrong with an analysis that was read."""
