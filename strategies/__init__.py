"""Strategies, indicators, sizing and risk rules: pure functions of bars, positions and settings."""
