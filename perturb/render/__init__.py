"""Words and pictures: pure functions of what was found."""
