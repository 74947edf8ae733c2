"""How many items a batch has at most, by side, on a processor and on a card."""

CPU_BATCH, GPU_BATCH = {"text": 32, "image": 8}, {"text": 512, "image": 128}
