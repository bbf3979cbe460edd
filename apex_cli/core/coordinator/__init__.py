"""The loop: signals in, decisions out, requests of other processes served."""
