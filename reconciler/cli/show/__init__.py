"""What the command line prints: text for people, JSON and YAML for programs."""
