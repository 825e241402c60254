"""Text, pages and pictures, made from reports by pure functions."""
