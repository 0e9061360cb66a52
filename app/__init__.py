"""Quotepart: metered pay-per-use billing for shared resources."""

VERSION = "0.1.0"
