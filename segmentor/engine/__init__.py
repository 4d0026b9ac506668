"""The only code that knows a database: the engine on one machine, and the conditions that a config may hold."""
