"""Methods written to be read and to judge the others by: plain, and for small sizes only."""
