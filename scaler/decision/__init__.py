"""What to do, given what is known. Pure: standard library only, no clock, no network, no memory."""
