"""A TWS-compatible paper venue on loopback: unmodified Interactive Brokers clients trade against our matching engine.

::

    framing      contracts  terms  messages       wire <-> values, pure
    accounts     policy     faults                arithmetic and switches, pure
    translation  register   quotes       desk     orders of all clients on the matching engine, pure
    hub                                           what all clients share: desk, quotes, who hears what
    session      requests   market_data  server   one connection, its questions, all connections
    books        tape       control      serve    file, prices over time, commands of tests, the process
"""
