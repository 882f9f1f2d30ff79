"""Compare the speed of detectors in one run, part by part."""
