"""What to do, given what is known. Pure: no clock, no network, no memory."""
