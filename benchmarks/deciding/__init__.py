"""What detectors cost: events, facts and the measurements over them."""
