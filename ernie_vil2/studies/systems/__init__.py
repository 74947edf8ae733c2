"""All systems on the same towers and data: what each reaches, and what it costs."""
