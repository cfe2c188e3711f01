"""Requests before the engines: what gateways call them, one data file each, and whose they are."""
