"""The OpenAPI documents as the program: operations with their validators."""
