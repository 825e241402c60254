"""Arrays in, numbers out; a statistician meets no pixel here."""
