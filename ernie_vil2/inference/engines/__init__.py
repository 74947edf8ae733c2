"""What runs a tower for inference: Paddle itself, Paddle Inference, OpenVINO."""
