"""A run in the browser, finished or on its way: the server renders, the page turns."""
