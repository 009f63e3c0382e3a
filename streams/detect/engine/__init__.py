"""Faust under rules: at least once, in groups, exact after a crash. DESIGN: each rule was found by killing it."""
