"""Compares our books with the broker's, corrects what needs no person, and locks the rest."""
