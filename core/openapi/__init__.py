"""The API told to programs and people: the OpenAPI document, made from the routes, and a page that shows it."""
