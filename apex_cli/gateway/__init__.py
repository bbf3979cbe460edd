"""A TWS-compatible paper venue on loopback: unmodified Interactive Brokers clients trade against our matching engine.

::

    framing    contracts  terms  messages               wire <-> values, pure
    accounts   credit     policy  faults  history       arithmetic and switches, pure
    translate  register   holdings  desk                orders of all clients on the matching engine, pure
    session    requests   server                        one connection, its questions, all connections
    books      tape       control  serving  testing     file, prices over time, commands of tests, the process
"""
