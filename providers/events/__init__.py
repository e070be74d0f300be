"""EC2's warnings, as EventBridge puts them into an SQS queue: they hurry the next look, and decide nothing."""
