"""The Hugging Face Hub: what a repository holds, its files fetched, its refusals in our words."""
