"""What is asked about, decided in rounds and replayed: a server that knows nothing of gRPC."""
