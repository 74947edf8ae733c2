"""Frames of video files as samples."""
