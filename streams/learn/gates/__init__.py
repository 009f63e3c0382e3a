"""Whether a release may go on, and what people may do about the answer."""
