"""Files of executions: reports of brokers, and an account described by hand."""
