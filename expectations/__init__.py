"""What must hold before a window is published."""
