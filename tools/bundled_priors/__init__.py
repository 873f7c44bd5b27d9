"""The recipe of our own small text-to-image prior: rendered scenes, an autoencoder, a denoiser, a folder to load."""
