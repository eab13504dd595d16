"""Where a run takes place: devices, files, progress, provenance."""
