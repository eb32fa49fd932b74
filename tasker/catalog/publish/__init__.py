"""What the project publishes of its contracts: JSON Schemas and the document of all events, written from the code."""
