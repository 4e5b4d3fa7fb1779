"""Keep clips on disk, check them, draw them, and exchange them with other tools."""
