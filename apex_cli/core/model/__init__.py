"""Immutable values. Imports nothing from the floors above.

Values are ``msgspec.Struct``, not dataclasses: creating one costs a fifth, a class
costs no code generation at start-up, and a row is written to the state or the journal
as it stands, without a second set of schema classes.
"""
