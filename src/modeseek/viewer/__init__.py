"""Live viewer of a run in the browser; the server renders, the page controls camera and step."""
