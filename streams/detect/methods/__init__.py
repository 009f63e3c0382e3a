"""Published statistics, without records, clocks or chance: memory and numbers in, memory and numbers out."""
