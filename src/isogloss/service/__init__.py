"""The HTTP service: embeddings, search and the page, over one model and one corpus."""
