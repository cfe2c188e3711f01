"""kvtide: a KEDA external scaler for LLM inference that lends idle GPUs to training."""
