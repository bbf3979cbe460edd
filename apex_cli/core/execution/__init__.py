"""Sends orders, keeps positions protected, closes them, and answers approvals."""
