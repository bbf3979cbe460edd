"""A TWS-compatible paper venue on loopback: unmodified Interactive Brokers clients trade against our matching engine.

::

    framing   contracts  terms  requests  messages      wire <-> values, pure
    accounts  policy     faults                         arithmetic and switches, pure
    desk                                                orders of all clients on the matching engine, pure
    session   server     books  tape  control           connections, file, prices over time, test control
"""
