"""The port to the broker and its adapters; wire parsing apart from sockets."""
