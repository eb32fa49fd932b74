"""`tasker init` and `tasker new`: files to begin with, which run, pass their own tests, and are yours from then on."""
