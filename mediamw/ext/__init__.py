"""Floor 8: integrations, one module for each framework. They know mediamw and their framework, and not each other."""
