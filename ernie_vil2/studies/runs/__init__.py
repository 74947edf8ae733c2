"""Trainings that a study compares: each in processes of its own, kept when it is finished."""
