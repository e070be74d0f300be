"""What passes between rooms: documents, snapshots, plans. Knows nothing of ours above it."""
