"""The simulated broker: the ``Broker`` port over the matching engine, with durable books and a clock of bars."""
