"""What running agents may do, and the questions that people answer first."""
