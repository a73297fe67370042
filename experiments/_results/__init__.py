"""The results of a run on one page that needs no other file: `page.write`."""
