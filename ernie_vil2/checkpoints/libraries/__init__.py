"""PaddleNLP and PaddleClas as sources of architectures, settings and weights; imported when they are asked for."""
