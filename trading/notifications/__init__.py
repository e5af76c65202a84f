"""What users are told about their bots, by mail and by webhook."""
