"""Interactive Brokers through ib_insync or ib_async: what apex sends and receives on one socket.

The libraries decode and encode; what they conclude of an order (``Trade.orderStatus``) is never read. ``tap`` hears
the callbacks of the protocol, ``tracker`` makes our own states of them, ``broker`` asks again wherever a word could
be wrong.
"""
