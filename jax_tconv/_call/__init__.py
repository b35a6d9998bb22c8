"""One call of the op as ints: its arguments checked, its sizes, and the roles of its arrays. No arrays are computed."""
