"""Access to the operating system: files, memory and lazy modules."""
