"""What is consolidated: feed declarations, the site registry, and the types they share."""
