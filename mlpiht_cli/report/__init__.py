"""One page of results: specs with their claims, pictures and tables in a file that needs no network."""
