"""The mock's own calls and pages."""
