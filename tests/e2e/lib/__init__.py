"""Helpers of the end-to-end tests: processes, brokers, clients, tokens."""
