"""What runs a tower for inference: Paddle itself, Paddle Inference, OpenVINO; and where its graphs are kept."""
