"""What a policy is compared with: the autoscalers that people use, and a clairvoyant."""
