"""What all other packages stand on: problems, secrets, certificates, texts."""
