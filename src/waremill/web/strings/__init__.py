"""Every word of the console, in English and 中文: one module an area, joined into one catalogue."""
