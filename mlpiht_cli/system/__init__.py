"""Files, memory and lazy modules: what the operating system gives."""
