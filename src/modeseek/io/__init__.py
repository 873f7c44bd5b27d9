"""Files and processes: atomic writes, points, images, video, progress bars, worker pools."""
